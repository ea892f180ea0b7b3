#!/usr/bin/env bash
# Installs the identity servers of the tests that are Debian packages, unless they are there: Glewlwyd, and
# SimpleSAMLphp with what it takes. As root, or by sudo. `--check NAME` only says, by its status, whether one is there.
set -euo pipefail

has_glewlwyd() { command -v glewlwyd >/dev/null && command -v sqlite3 >/dev/null; }

has_simplesamlphp() {
  [[ -f /usr/share/simplesamlphp/lib/_autoload.php ]] &&
    php -r 'exit((int) !(extension_loaded("dom") && extension_loaded("mbstring")));' 2>/dev/null
}

if [[ ${1:-} == --check ]]; then
  "has_$2"
  exit
fi

missing=()
has_glewlwyd || missing+=(glewlwyd dbconfig-no-thanks sqlite3)
has_simplesamlphp || missing+=(simplesamlphp php-cli php-xml php-mbstring)
((${#missing[@]})) || exit 0
command -v apt-get >/dev/null || {
  echo "there is no apt-get here; install by other means what these packages hold: ${missing[*]}" >&2
  exit 1
}

as_root() { if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi; }

# The packages bring services along, but the tests start their own: this is how a Debian system is told to start nothing
# that it installs (invoke-rc.d, /usr/share/doc/init-system-helpers). It stays only as long as it takes.
POLICY=/usr/sbin/policy-rc.d
if [[ ! -e $POLICY ]]; then
  trap 'as_root rm -f "$POLICY"' EXIT
  printf '#!/bin/sh\nexit 101\n' | as_root install -m 755 /dev/stdin "$POLICY"
fi
as_root apt-get update
# Left to its default, Glewlwyd's package asks for a database server, which fails when nobody can answer.
as_root debconf-set-selections <<<'glewlwyd glewlwyd/config_type select No configuration'
# Its sample configuration comes from its documentation, which slim images leave out.
as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
  --option 'DPkg::Options::=--path-include=/usr/share/doc/glewlwyd/*' "${missing[@]}"
