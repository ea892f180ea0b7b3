#!/usr/bin/env bash
# The demo "Time Travels": starts the identity server, the bookings API and Envoy with the module, checks that they work
# together, prints commands to try, and stops everything on Ctrl-C. `make demo` builds its prerequisites.
#
#   ENVOY      path of the Envoy binary (required)
#   DEMO_ONCE  1: stop after the checks instead of waiting for Ctrl-C
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."

IDENTITY=tests/identity/oidc-provider
MODULE=dist/scopegate.wasm
TOKEN_URL=http://127.0.0.1:9400/token
GATEWAY=http://127.0.0.1:8000
ADMIN=http://127.0.0.1:9901
START_SECONDS=30
STOP_SECONDS=5

names=() # names of the started processes
pids=()  # their process ids, in the same order
logs=
failures=0

fail() {
  echo "demo: $*" >&2
  exit 1
}

# Requests between the parts of the demo must not use a proxy from the environment.
fetch() { curl --silent --noproxy '*' --max-time 5 "$@"; }

port_in_use() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

check_prerequisites() {
  command -v node >/dev/null || fail "node is missing: install Node.js 22 or later"
  local node
  node=$(node --version)
  [[ $node =~ ^v([0-9]+)\. ]] && ((BASH_REMATCH[1] >= 22)) || fail "node is $node: install Node.js 22 or later"
  command -v curl >/dev/null || fail "curl is missing: install it (Debian: apt-get install curl)"
  [[ -n ${ENVOY:-} ]] || fail "ENVOY is not set: run 'make demo', or set ENVOY=/path/to/envoy"
  [[ -f $ENVOY && -x $ENVOY ]] || fail "no Envoy binary at $ENVOY: run 'make envoy', or set ENVOY=/path/to/envoy"
  [[ -f $MODULE ]] || fail "$MODULE is missing: run 'make build'"
  [[ -d $IDENTITY/node_modules/oidc-provider ]] || fail "the identity server is not installed: run 'make identity'"
  local port
  for port in 8000 9400 9410 9901; do
    ! port_in_use "$port" || fail "port $port of 127.0.0.1 is in use: stop what listens there"
  done
}

start() { # name, command...
  local name=$1
  shift
  "$@" >"$logs/$name.log" 2>&1 &
  pids+=("$!")
  names+=("$name")
}

stop() {
  trap '' INT TERM HUP
  ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
  local deadline=$((SECONDS + STOP_SECONDS)) pid
  for pid in "${pids[@]}"; do
    while ((SECONDS < deadline)) && kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  [[ -z $logs ]] || rm -rf "$logs"
}

fail_with_log() { # name, message
  echo "--- the end of the log of $1" >&2
  tail -n 20 "$logs/$1.log" >&2
  fail "$2"
}

check_alive() {
  local i
  for i in "${!pids[@]}"; do
    kill -0 "${pids[i]}" 2>/dev/null || fail_with_log "${names[i]}" "${names[i]} has stopped"
  done
}

wait_ready() { # name, url
  local deadline=$((SECONDS + START_SECONDS))
  until fetch --fail --output /dev/null "$2"; do
    check_alive
    ((SECONDS < deadline)) || fail_with_log "$1" "$1 was not ready within $START_SECONDS s"
    sleep 0.1
  done
}

check() { # what, status wanted, curl arguments...
  local what=$1 wanted=$2 status
  shift 2
  status=$(fetch --output /dev/null --write-out '%{http_code}' "$@") || true
  if [[ $status == "$wanted" ]]; then
    printf '  %-44s %s\n' "$what" "$status"
  else
    printf '  %-44s %s, but %s was expected\n' "$what" "$status" "$wanted"
    failures=$((failures + 1))
  fi
}

check_gateway() {
  local view
  view=$(fetch --user traveller:traveller-secret "$TOKEN_URL" -d grant_type=client_credentials -d scope=view |
    sed -n 's/.*"access_token":"\([^"]*\)".*/\1/p') || true
  [[ -n $view ]] || fail_with_log identity-server "the identity server issued no token"
  echo "Through Envoy:"
  check "GET  /bookings  without a token" 401 "$GATEWAY/bookings"
  check "GET  /bookings  with a token of scope view" 200 "$GATEWAY/bookings" -H "Authorization: Bearer $view"
  check "POST /bookings  with the same token" 403 "$GATEWAY/bookings" -H "Authorization: Bearer $view" -d '{}'
  check "GET  /healthz   without a token" 200 "$GATEWAY/healthz"
  ((failures == 0)) || fail_with_log envoy "$failures of the checks above failed: see the statuses"
}

print_commands() {
  cat <<'TEXT'

Time Travels is open. Try, in another terminal:

# a token that may only view: it lists the bookings (200) and books nothing (403)
VIEW=$(curl -s -u traveller:traveller-secret http://127.0.0.1:9400/token -d grant_type=client_credentials -d scope=view | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -i http://127.0.0.1:8000/bookings -H "Authorization: Bearer $VIEW"
curl -i http://127.0.0.1:8000/bookings -H "Authorization: Bearer $VIEW" -d '{"destination": "Thebes, 1250 BC"}'

# a token that may book (201)
BOOK=$(curl -s -u traveller:traveller-secret http://127.0.0.1:9400/token -d grant_type=client_credentials -d scope=book | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -i http://127.0.0.1:8000/bookings -H "Authorization: Bearer $BOOK" -d '{"destination": "Thebes, 1250 BC"}'

# a token that may cancel (200)
CANCEL=$(curl -s -u traveller:traveller-secret http://127.0.0.1:9400/token -d grant_type=client_credentials -d scope=cancel | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -i -X DELETE http://127.0.0.1:8000/bookings/1 -H "Authorization: Bearer $CANCEL"

# what Scopegate counted
curl -s http://127.0.0.1:9901/stats/prometheus | grep '^scopegate'
TEXT
}

check_prerequisites
logs=$(mktemp -d)
trap stop EXIT
trap 'exit 0' INT TERM HUP

# HOST, PORT and ISSUER may have other meanings in the environment of the caller.
start identity-server env HOST=127.0.0.1 PORT=9400 ISSUER=http://127.0.0.1:9400 node "$IDENTITY/server.mjs"
start bookings env HOST=127.0.0.1 PORT=9410 node envoy/demo/bookings.mjs
wait_ready identity-server http://127.0.0.1:9400/healthz
wait_ready bookings http://127.0.0.1:9410/healthz
# A dynamic base id permits other Envoys on the same machine.
start envoy env 'GATEWAY_SECRET=gate+way 100%/=secret' "$ENVOY" -c envoy/demo.yaml --use-dynamic-base-id \
  -l warning --component-log-level wasm:info
wait_ready envoy "$ADMIN/ready"

check_gateway
print_commands

[[ ${DEMO_ONCE:-} == 1 ]] && exit 0
printf '\nCtrl-C ends the demo.\n'
while true; do
  check_alive
  sleep 1
done
