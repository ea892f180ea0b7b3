#!/usr/bin/env bash
# SimpleSAMLphp as the SAML 2.0 identity provider of the end-to-end tests: authenticates users and signs assertions.
# It needs no root privileges once the packages are installed (../debian.sh). It writes only to STATE.
#
#   PORT    port of 127.0.0.1 to listen on
#   STATE   directory with its key (saml.key) and certificate (saml.pem, both PEM), for its sessions and log;
#           service-providers in it lists who gets assertions, one in a line: `audience recipient lifetime-in-seconds`. It may change at any time, the last
#           line of an audience counts
#   ISSUER  its entity ID (https://partner.example.test)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

LIBRARY=/usr/share/simplesamlphp

fail() {
  echo "simplesamlphp: $*" >&2
  exit 1
}

: "${PORT:?}" "${STATE:?}"
[[ -f $LIBRARY/lib/_autoload.php ]] &&
  php -r 'exit((int) !(extension_loaded("dom") && extension_loaded("mbstring")));' 2>/dev/null ||
  fail "it is not installed, or PHP lacks dom or mbstring: run 'make identity'"

[[ -f $STATE/saml.key && -f $STATE/saml.pem ]] || fail "saml.key or saml.pem is missing in $STATE"
touch "$STATE/service-providers"

export STATE ISSUER=${ISSUER:-https://partner.example.test} SIMPLESAMLPHP_CONFIG_DIR=$PWD/config METADATA=$PWD/metadata
exec php -d session.save_path="$STATE" -d display_errors=0 -S "127.0.0.1:$PORT" -t "$LIBRARY/www"
