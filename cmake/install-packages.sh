#!/usr/bin/env bash
# Makes sure that what the build needs is installed. With apt: names the missing packages, then installs them (sudo if not
# root). DYGRAD_NO_INSTALL=1 only prints the line to run. Without apt: names what is missing and stops.
#   install-packages.sh [fuzz|ci]  with fuzz: also clang and the library of its fuzzer; with ci: also clang-format and
#                                  clang-tidy, where they are
set -euo pipefail

required=(g++ cmake ninja-build libdnnl-dev libopenblas-openmp-dev libfmt-dev catch2 nlohmann-json3-dev zlib1g-dev
          libcli11-dev libstb-dev)
optional=(dataset-fashion-mnist)  # the demo falls back to a small set made on the spot
no_install=${DYGRAD_NO_INSTALL:-}
[[ $no_install == 0 ]] && no_install=

say() { printf 'dygrad: %s\n' "$*" >&2; }

# Compiles nothing: one preprocessor run that reports each header it cannot see.
check_without_apt() {
  local missing=() compiler=${CXX:-c++} command header
  local commands=("$compiler" cmake ninja)
  [[ ${1:-} == fuzz || ${1:-} == ci ]] && commands+=(clang++)
  for command in "${commands[@]}"; do
    command -v "$command" >/dev/null || missing+=("$command (command)")
  done
  if command -v "$compiler" >/dev/null; then
    local names=(oneDNN OpenBLAS fmt nlohmann-json zlib CLI11 stb Catch2)
    local headers=(dnnl.hpp cblas.h fmt/format.h nlohmann/json.hpp zlib.h CLI/CLI.hpp stb/stb_image_write.h catch2/catch)
    local program='' i
    for i in "${!headers[@]}"; do
      header=${headers[i]}
      if [[ $header == catch2/catch ]]; then
        program+="#if !__has_include(<catch2/catch.hpp>) && !__has_include(<catch2/catch_all.hpp>)"
      elif [[ $header == stb/* || $header == cblas.h ]]; then
        program+="#if !__has_include(<$header>) && !__has_include(<${header##*/}>) && !__has_include(<openblas/$header>)"
      else
        program+="#if !__has_include(<$header>)"
      fi
      program+=$'\n'"missing ${names[i]} (library with headers)"$'\n#endif\n'
    done
    local found
    found=$("$compiler" -std=c++20 -E -P -x c++ - <<<"$program" | sed -n 's/^missing //p')
    [[ -n $found ]] && mapfile -t -O "${#missing[@]}" missing <<<"$found"
  fi
  if ((${#missing[@]})); then
    say "this system has no apt, so nothing was installed. Missing:"
    printf '  %s\n' "${missing[@]}" >&2
    say "install these with your package manager (on Debian they are: ${required[*]}), then run make again"
    exit 1
  fi
}

# Prints those of its arguments that are not installed.
not_installed() {
  local installed package
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p') || true
  for package in "$@"; do
    grep -qxF "$package" <<<"$installed" || printf '%s\n' "$package"
  done
}

has_candidate() { [[ $(apt-cache policy "$1" 2>/dev/null) =~ Candidate:\ [^\(] ]]; }

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  check_without_apt "$@"
  exit 0
fi

# The fuzzer's library comes with clang's other ones: under a name without a version where the distribution has it.
fuzz_packages() {
  local version
  version=$(apt-cache depends clang 2>/dev/null | sed -n 's/^ *Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
  local name
  for name in libclang-rt-dev "libclang-rt-$version-dev" "libclang-common-$version-dev"; do
    if has_candidate "$name"; then
      printf '%s\n' clang "$name"
      return
    fi
  done
  printf 'clang\n'
}
if [[ ${1:-} == ci ]]; then optional+=(clang-format-14 clang-tidy-14); fi
if [[ ${1:-} == fuzz || ${1:-} == ci ]]; then
  mapfile -t fuzz < <(fuzz_packages)
  required+=("${fuzz[@]}")
fi

mapfile -t missing < <(not_installed "${required[@]}")
mapfile -t wished < <(not_installed "${optional[@]}")
# An optional package that this distribution does not have is mentioned once a build folder, not at every call.
noted=build/.packages-noted
if ((${#missing[@]} == 0)) && { ((${#wished[@]} == 0)) || [[ -e $noted ]]; }; then
  exit 0
fi

sudo=()
if ((EUID != 0)); then sudo=(sudo); fi
all=("${missing[@]}" "${wished[@]}")
install=(apt-get install -y --no-install-recommends)
say "missing packages: ${all[*]}"
stop=1
if ((${#missing[@]} == 0)); then stop=0; fi  # only optional ones are missing
if [[ -n $no_install ]]; then
  say "DYGRAD_NO_INSTALL is set; to install them, run:"
  printf '%s\n' "${sudo[*]:+${sudo[*]} }apt-get update && ${sudo[*]:+${sudo[*]} }${install[*]} ${all[*]}"
  exit $stop
fi
if ((${#sudo[@]})) && ! command -v sudo >/dev/null; then
  say "you are not root and there is no sudo; as root, run:"
  printf '%s\n' "apt-get update && ${install[*]} ${all[*]}"
  exit $stop
fi

say "installing them with apt"
apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive)
"${apt[@]}" apt-get update -q || say "apt-get update failed; going on with the package lists that are there"
available=()
for package in "${wished[@]}"; do
  if has_candidate "$package"; then
    available+=("$package")
  else
    say "$package is not in this distribution; going on without it"
    mkdir -p "${noted%/*}" && touch "$noted"
  fi
done
unknown=()
for package in "${missing[@]}"; do
  has_candidate "$package" || unknown+=("$package")
done
if ((${#unknown[@]})); then
  say "not in this distribution: ${unknown[*]}"
  say "install the libraries yourself and build with CMake (README.md, 'Building by hand')"
  exit 1
fi
"${apt[@]}" "${install[@]}" -q "${missing[@]}" "${available[@]}"
