#!/usr/bin/env bash
# Builds dygrad's benchmarks and libtorch's inside another Debian root, so that one compiler builds both and one set of
# libraries runs them: build-in-root.sh DIR [REPOSITORY]. Needs root. In the root are g++, cmake, ninja-build,
# libdnnl-dev, libopenblas-openmp-dev, libfmt-dev, nlohmann-json3-dev, zlib1g-dev, libcli11-dev and libtorch-dev; /proc
# and /dev are mounted. The repository appears there as /dygrad; the programs are then
#   chroot DIR /dygrad/build/root/tests/bench/bench_<name>   and   chroot DIR /dygrad/build/root-peer/torch_<name>
set -euo pipefail
root=${1:?directory of the root}
source=$(realpath "${2:-$(dirname "$0")/../../..}")
inside=/dygrad

mkdir -p "$root$inside"
[[ $root$inside -ef $source ]] || mount --bind "$source" "$root$inside"  # over another one if there is
chroot "$root" env LC_ALL=C.UTF-8 sh -euc '
  cd "$1"
  cmake -S . -B build/root -G Ninja -DCMAKE_BUILD_TYPE=Release -DDYGRAD_BUILD_BENCHMARKS=ON -DDYGRAD_BUILD_TESTS=OFF \
        -DDYGRAD_BUILD_EXAMPLES=OFF >/dev/null
  cmake --build build/root --target benchmarks
  cmake -S tests/bench/peer -B build/root-peer -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
  cmake --build build/root-peer' sh "$inside"
