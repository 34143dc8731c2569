#!/usr/bin/env bash
# Who may include what, and a few habits, as greps: a wrong arrow between
# actors/, net/ and app/ fails a test and not a review. Prints every line that
# breaks a rule; silent and successful where none does.
set -euo pipefail
root=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")
cd "$root"
failed=0

# Plain headers: the nouns that net/ and app/ share with the actors.
plain='model|errc|inspection|result|ports|event_loop|log|metrics|wire|timer_wheel|limits|overloaded'

# sources <folder>... : our C++ files below them
sources() {
  local folders=()
  for folder in "$@"; do
    [[ -d $folder ]] && folders+=("$folder")
  done
  ((${#folders[@]})) || return 0
  find "${folders[@]}" -name node_modules -prune -o \
    \( -name '*.hpp' -o -name '*.cpp' \) -print | sort
}

# forbid <reason> <regex> <file>... : no line of the files may match
forbid() {
  local reason=$1 pattern=$2
  shift 2
  (($#)) || return 0
  local hits
  if hits=$(grep -HnP -- "$pattern" "$@"); then
    echo "$reason:"
    printf '  %s\n' "${hits//$'\n'/$'\n'  }"
    failed=1
  fi
}

include='^\s*#\s*include\s*'
mapfile -t actors < <(sources actors)
mapfile -t plain_files < <(sources actors | grep -P "^actors/($plain)\.[hc]pp$")
mapfile -t net < <(sources net)
mapfile -t net_but_beast < <(sources net | grep -vx 'net/beast\.hpp')
mapfile -t net_headers < <(sources net | grep '\.hpp$')
mapfile -t dialects < <(sources net/protocols net/auth)
mapfile -t net_but_dialects < <(sources net \
  | grep -vP '^net/(protocols/|routes\.cpp$)')
mapfile -t app < <(sources app)
# The peers of test/bench are programs of their own, not ours.
mapfile -t tests < <(sources test | grep -v '^test/bench/peers/')
mapfile -t ours < <(sources actors net app test)
mapfile -t headers < <(sources actors net app test | grep '\.hpp$')

# -- arrows --------------------------------------------------------------------

forbid 'actors/ knows no socket, no Boost and no app' \
  "${include}[<\"](boost|net|app|test|simdjson|openssl|liburing)\b" \
  "${actors[@]}"
forbid 'a plain header includes only std, fmt and plain headers' \
  "${include}(<caf/|\"(?!actors/($plain)\.hpp\"))" "${plain_files[@]}"
forbid 'net/ knows no actor: no CAF' "${include}[<\"]caf/" "${net[@]}"
forbid 'net/ sees only the plain headers of actors/' \
  "${include}\"actors/(?!($plain)\.hpp\")" "${net[@]}"
forbid 'net/ knows neither app/ nor test/' "${include}\"(app|test)/" "${net[@]}"
forbid 'Beast and Asio come through net/beast.hpp' \
  "${include}[<\"]boost/(asio|beast)\b" \
  "${net_but_beast[@]}" "${app[@]}"
forbid 'Beast and Asio come through net/beast.hpp (tests: but test::stream)' \
  "${include}[<\"]boost/(asio|beast)(?!/_experimental/test/)\b" "${tests[@]}"
forbid 'only .cpp files of net/ include net/beast.hpp' \
  "${include}\"net/beast\.hpp\"" "${net_headers[@]}" "${app[@]}"
forbid 'a dialect or a token check touches no socket' \
  "${include}\"net/(?!(protocols|auth)/|(ws_frame|room_name)\.hpp)" "${dialects[@]}"
forbid 'dialects are known to the table of routes, and to nobody else' \
  "${include}\"net/protocols/(?!visit\.hpp)" "${actors[@]}" "${app[@]}" \
  "${net_but_dialects[@]}"
forbid 'app/ knows no test' "${include}\"test/" "${app[@]}"
forbid 'includes start at the root of the tree' "${include}\"\.\.?/" "${ours[@]}"

for header in "${headers[@]}"; do
  if ! grep -q '^#pragma once' "$header"; then
    echo "$header: no #pragma once"
    failed=1
  fi
done

# -- habits --------------------------------------------------------------------

mapfile -t texts < <(find . \
  \( -name .git -o -name build -o -name node_modules \) -prune -o -type f \
  \( -name '*.?pp' -o -name '*.md' -o -name '*.sh' -o -name '*.cmake' \
  -o -name '*.mjs' -o -name '*.js' -o -name '*.html' -o -name '*.yaml' \
  -o -name '*.json' -o -name '*.txt' -o -name '*.service' -o -name '*.supp' \
  -o -name Dockerfile -o -path '*/run' -o -path './.*' \) -print | sort)
forbid 'paths of somebody'"'"'s machine' \
  '(?<![\w.~}-])/(home|root|work|Users)/' "${texts[@]}"
forbid 'unfinished work belongs into an issue' '\b(TO[D]O|FIX[M]E|XX[X])\b' \
  "${texts[@]}"
forbid 'a line ends with a blank' '[ \t]+$' "${ours[@]}"

# A look at the common forms, not the whole grammar of versions.
forbid 'Debian 12 has Node 18' \
  '"node": "(>=?|\^|~)?\s*(19|[2-9]\d)\b[^|"]*"' test/clients/package-lock.json

exit $failed
