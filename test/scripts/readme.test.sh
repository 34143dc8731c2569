#!/usr/bin/env bash
# Does what README.md tells a newcomer to do, word for word: starts the broker as
# app/run does, then types the lines behind `$ ` of every console block and
# compares what comes back with the lines below them.
set -euo pipefail
: "${GREENROOM_SOURCE_DIR:?}" "${GREENROOM_BINARY:?}"

# The walk-through has a fixed port. In a network of its own it is free; where a
# container forbids that, it has to be free as it is.
if [[ -z ${README_TEST_INSIDE:-} ]] && unshare --net true 2>/dev/null; then
  # perl is part of every Debian, ip is not: SIOCSIFFLAGS, up and running.
  export README_TEST_INSIDE=1
  # shellcheck disable=SC2016 # these are perl's variables
  exec unshare --net -- perl -e '
    socket(my $s, 2, 2, 0) or die $!;
    my $request = pack("a16 s x22", "lo", 0x49);
    ioctl($s, 0x8914, $request) or die $!;
    exec @ARGV or die $!;' -- "$0" "$@"
fi

source=$GREENROOM_SOURCE_DIR
work=$(mktemp -d)
broker=
finish() {
  [[ -z $broker ]] || kill "$broker" 2>/dev/null || true
  wait
  rm -rf "$work"
}
trap finish EXIT

# The tree of somebody who ran app/run.
mkdir -p "$work/build/release"
ln -s "$GREENROOM_BINARY" "$work/build/release/greenroom"
cd "$work"
# A setting of the caller would change what the walk-through meets.
for name in "${!GREENROOM_@}"; do
  unset "$name"
done

# -- app/run -------------------------------------------------------------------

# Its last line is `exec "$root/build/release/greenroom" FLAGS "$@"`.
line=$(grep '^exec .*/build/release/greenroom"' "$source/app/run")
read -r -a flags <<<"$(sed 's/^exec "[^"]*"//; s/"\$@"$//' <<<"$line")"
((${#flags[@]})) || { echo "app/run names no flags: $line"; exit 1; }
build/release/greenroom "${flags[@]}" >broker.log &
broker=$!
for _ in {1..100}; do
  grep -q '"listening"' broker.log && break
  kill -0 "$broker" || { cat broker.log; exit 1; }
  sleep 0.1
done

# -- the console blocks ----------------------------------------------------------

# Runs a command in this shell, as a newcomer would, and compares.
check() {
  local command=$1 expected=$2
  echo "\$ $command"
  eval "$command" >out 2>&1 </dev/null || { cat out; echo "failed: $command"; exit 1; }
  cat out
  if [[ $(<out) != "$expected" ]]; then
    echo "README.md says:"
    echo "$expected"
    exit 1
  fi
}

commands=0
command=
expected=
inside=
run_pending() {
  if [[ -n $command ]]; then
    check "$command" "${expected%$'\n'}"
    commands=$((commands + 1))
  fi
  command=
  expected=
}
while IFS= read -r -u 3 line; do
  if [[ -z $inside ]]; then
    [[ $line != '```console' ]] || inside=1
  elif [[ $line == '```' ]]; then
    run_pending
    inside=
  elif [[ $line == '$ '* ]]; then
    run_pending
    command=${line#'$ '}
  else
    expected+=$line$'\n'
  fi
done 3<"$source/README.md"

((commands >= 3)) || { echo "README.md has only $commands commands"; exit 1; }
echo "$commands commands did what README.md says"
