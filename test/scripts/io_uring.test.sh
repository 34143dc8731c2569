#!/usr/bin/env bash
# A kernel that refuses io_uring: the broker sends without, and says so; whoever
# insists gets one clear line.
set -euo pipefail
: "${GREENROOM_BINARY:?}" "${DENY_IO_URING:?}"

work=$(mktemp -d)
broker=
finish() {
  [[ -z $broker ]] || kill "$broker" 2>/dev/null || true
  wait
  rm -rf "$work"
}
trap finish EXIT
fail() {
  echo "$1"
  cat "$work"/*
  exit 1
}

status=0
"$DENY_IO_URING" "$GREENROOM_BINARY" --port 0 --room lobby --io-uring on \
  >"$work/on.out" 2>"$work/on.err" || status=$?
((status == 1)) || fail "--io-uring on: exit status $status"
grep -q -- '--io-uring on: the kernel does not allow it' "$work/on.err" ||
  fail "--io-uring on: no word about it"
[[ $(wc -l <"$work/on.err") == 1 ]] || fail "--io-uring on: more than one line"

"$DENY_IO_URING" "$GREENROOM_BINARY" --port 0 --room lobby --log-format json \
  --messages-per-second 0 \
  >"$work/log" 2>&1 &
broker=$!
for _ in {1..200}; do
  grep -q '"listening"' "$work/log" && break
  kill -0 "$broker" || fail "it did not start"
  sleep 0.05
done
grep '"message":"io_uring"' "$work/log" | grep -q '"used":false' ||
  fail "the log does not say that there is no io_uring"
port=$(sed -n 's/.*"message":"listening".*"port":\([0-9]*\).*/\1/p' "$work/log" |
  head -1)
"$GREENROOM_BINARY" bench "ws://127.0.0.1:$port/room/lobby" --members 20 \
  --window 8 --duration 1 --quiet --json >"$work/bench" ||
  fail "deliveries are lost"
grep -q '"passed": true' "$work/bench" || fail "the bench did not pass"
