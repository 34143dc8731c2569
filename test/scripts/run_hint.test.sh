#!/usr/bin/env bash
# The address that app/run prints is the one that the broker listens on, whichever
# way it was chosen. Neither packages nor a build: both are stood in for.
set -euo pipefail
: "${GREENROOM_SOURCE_DIR:?}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/app" "$work/bin" "$work/build/release"
cp "$GREENROOM_SOURCE_DIR/app/run" "$work/app/"
for stub in app/packages.sh bin/cmake build/release/greenroom; do
  printf '#!/bin/sh\nexit 0\n' >"$work/$stub"
  chmod +x "$work/$stub"
done
export PATH=$work/bin:$PATH
unset GREENROOM_PORT GREENROOM_BIND

# expect URL [VARIABLE=VALUE...] -- [FLAG...]
expect() {
  local url=$1 variables=() told
  shift
  while [[ $1 != -- ]]; do
    variables+=("$1")
    shift
  done
  shift
  told=$(env "${variables[@]}" "$work/app/run" "$@" | grep '^Greenroom starts at')
  if [[ $told != "Greenroom starts at $url/room/lobby" ]]; then
    echo "with ${variables[*]} and $*: $told, not $url"
    exit 1
  fi
}

expect ws://127.0.0.1:8000 --
expect ws://127.0.0.1:9000 -- --port 9000
expect ws://127.0.0.1:9000 -- --port=9000
expect ws://127.0.0.1:9000 GREENROOM_PORT=9000 --
expect ws://127.0.0.1:9001 GREENROOM_PORT=9000 -- --threads 2 --port 9001
expect ws://127.0.0.1:PORT -- --port 0
expect ws://127.0.0.1:PORT GREENROOM_PORT=0 --
expect ws://192.0.2.1:8000 -- --bind 192.0.2.1
expect ws://127.0.0.1:8000 GREENROOM_BIND=0.0.0.0 --
expect 'ws://[::1]:8000' -- --bind=::1
expect 'ws://[::1]:8000' -- --bind '[::]'
grep -q 'listening' <<<"$("$work/app/run" --port 0)"
echo "the hints follow the settings"
