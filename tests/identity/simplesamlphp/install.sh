#!/usr/bin/env bash
# Installs SimpleSAMLphp and what it takes from Debian's packages, unless it is there. As root, or by sudo.
# With --check only says, by its status, whether it is.
set -euo pipefail

is_installed() {
  [[ -f /usr/share/simplesamlphp/lib/_autoload.php ]] &&
    php -r 'exit((int) !(extension_loaded("dom") && extension_loaded("mbstring")));' 2>/dev/null
}

if is_installed; then exit 0; fi
[[ ${1:-} != --check ]] || exit 1
command -v apt-get >/dev/null || {
  echo "simplesamlphp: there is no apt-get; install simplesamlphp, php-cli, php-xml and php-mbstring" >&2
  exit 1
}

as_root() { if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi; }

# The packages bring Apache along, which the tests do not need: this is how a Debian system is told to start nothing
# that it installs (invoke-rc.d, /usr/share/doc/init-system-helpers). It stays only as long as it takes.
POLICY=/usr/sbin/policy-rc.d
if [[ ! -e $POLICY ]]; then
  trap 'as_root rm -f "$POLICY"' EXIT
  printf '#!/bin/sh\nexit 101\n' | as_root install -m 755 /dev/stdin "$POLICY"
fi
as_root apt-get update
as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
  simplesamlphp php-cli php-xml php-mbstring
