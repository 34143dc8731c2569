#!/usr/bin/env bash
# The Debian packages this project uses, by purpose: the only list of them.
#
#   app/packages.sh build test      installs what is missing of these groups
#
# Works as root or with sudo. Where nothing is missing, nothing is asked of apt.
set -euo pipefail

# Debian 12 has Boost 1.74 as its default and 1.81 beside it, hence the number;
# Debian 13 has 1.83 as its default.
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "${VERSION_ID:-}")
if [[ $release == 12 ]]; then
  boost=(libboost1.81-dev libboost-json1.81-dev libboost-url1.81-dev)
  shared=(libcaf-core0.17 libboost-json1.81.0 libboost-url1.81.0 libfmt9
    libsimdjson14 libssl3)
else
  boost=(libboost-dev libboost-json-dev libboost-url-dev)
  shared=(libcaf-core0.17t64 libboost-json1.83.0 libboost-url1.83.0 libfmt10
    libsimdjson25 libssl3t64)
fi

group() {
  case $1 in
    build) # the binary
      echo g++ cmake ninja-build ccache mold pkg-config libcaf-dev \
        "${boost[@]}" libfmt-dev libcli11-dev libsimdjson-dev libssl-dev \
        zlib1g-dev libjemalloc-dev liburing-dev
      ;;
    test) # unit tests up to scripts that talk to the binary
      echo libgtest-dev libgmock-dev curl python3-websockets
      ;;
    clients) # the JavaScript clients; any Node from 18 on will do; a browser
      command -v chromium >/dev/null || echo chromium
      if ! { command -v npm && command -v node &&
        node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)'; } \
        >/dev/null 2>&1; then
        echo nodejs npm
      fi
      ;;
    bench) # the benchmarks of single pieces
      echo libbenchmark-dev
      ;;
    peers) # whom Greenroom is compared with; Bun comes by npm (group clients)
      echo golang-go golang-github-gorilla-websocket-dev
      ;;
    ci) # what .ci/run needs on top; dpkg-dev unpacks a source package
      echo clang-format dpkg-dev
      ;;
    runtime) # what the binary links
      echo "${shared[@]}" libjemalloc2 liburing2 zlib1g ca-certificates
      ;;
    *)
      echo "packages.sh: no group '$1'" >&2
      return 2
      ;;
  esac
}

missing=()
for name in "$@"; do
  packages=$(group "$name")
  for package in $packages; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [[ $status == installed ]] || missing+=("$package")
  done
done
((${#missing[@]})) || exit 0

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "Missing packages: ${missing[*]}" >&2
    echo "Install them as root, or install sudo." >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q)
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends "${missing[@]}"
