#!/usr/bin/env bash
# Installs the identity servers of the tests that are Debian packages, unless they are there: Glewlwyd, and
# SimpleSAMLphp with its dependencies. Runs as root or with sudo. `--check NAME` only tests whether one is installed
# and reports the result in its exit status.
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
  echo "apt-get not found; install the equivalent of these packages: ${missing[*]}" >&2
  exit 1
}

as_root() { if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi; }

# The packages include services, but the tests start their own processes. This policy file keeps Debian from starting
# the services (invoke-rc.d, /usr/share/doc/init-system-helpers). It is removed after the installation.
POLICY=/usr/sbin/policy-rc.d
if [[ ! -e $POLICY ]]; then
  trap 'as_root rm -f "$POLICY"' EXIT
  printf '#!/bin/sh\nexit 101\n' | as_root install -m 755 /dev/stdin "$POLICY"
fi
as_root apt-get update
# By default, Glewlwyd's package prompts for a database server. The prompt fails in a non-interactive installation.
as_root debconf-set-selections <<<'glewlwyd glewlwyd/config_type select No configuration'
# Its sample configuration comes from its documentation, which slim images leave out.
as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
  --option 'DPkg::Options::=--path-include=/usr/share/doc/glewlwyd/*' "${missing[@]}"
