#!/usr/bin/env bash
# Runs fuzz targets for some seconds each, two at a time, and ends on a line that counts them:
#   run.sh [SECONDS] [TARGET...]
# The target `property` is the program of tests/property with ten million calls instead of its usual number, as built by
# `make test`; without names, it runs after the others if it is there.
set -uo pipefail
cd "$(dirname "$0")/../.."

seconds=60
if [[ ${1:-} =~ ^[0-9]+$ ]]; then seconds=$1 && shift; fi
build=build/fuzz
property=build/release/tests/tests_property
targets=("$@")
if ((${#targets[@]} == 0)); then
  targets=(safetensors npz npy idx checkpoint autotune words)
  [[ -x $property ]] && targets+=(property)
fi
at_once=2
mkdir -p "$build"

# fuzz TARGET: keeps new inputs in the build folder, where the next run goes on from them.
fuzz() {
  if [[ $1 == property ]]; then
    DYGRAD_PROPERTY_CALLS=${DYGRAD_PROPERTY_CALLS:-10000000} DYGRAD_PROPERTY_SEED=${DYGRAD_PROPERTY_SEED:-$RANDOM} \
      "$property" >"$build/property.log" 2>&1
    return
  fi
  local target=$1 dictionary=tests/fuzz/$1.dict
  local new=$build/corpus/$target faults=$build/faults/$target
  mkdir -p "$new" "$faults"
  local options=(-max_total_time="$seconds" -max_len=4096 -timeout=25 -rss_limit_mb=2048 -malloc_limit_mb=256
                 -artifact_prefix="$faults/" -print_final_stats=1)
  [[ -e $dictionary ]] && options+=(-dict="$dictionary")
  UBSAN_OPTIONS=print_stacktrace=1 \
    "$build/tests/fuzz/fuzz_$target" "${options[@]}" "$new" "tests/fuzz/corpus/$target" >"$build/$target.log" 2>&1
}

passed=0 failed=0
# report TARGET STATUS
report() {
  local executions
  executions=$(sed -n 's/^stat::number_of_executed_units: *\(.*\)/, \1 executions/p' "$build/$1.log")
  if (($2 == 0)); then
    printf '%-14s ok%s\n' "$1" "$executions"
    passed=$((passed + 1))
  else
    tail -n 60 "$build/$1.log"
    printf '%-14s FAILED: %s; inputs in %s\n' "$1" "$build/$1.log" "$build/faults/$1"
    failed=$((failed + 1))
  fi
}

for ((i = 0; i < ${#targets[@]}; i += at_once)); do
  running=()
  for target in "${targets[@]:i:at_once}"; do
    fuzz "$target" &
    running+=("$!")
  done
  for k in "${!running[@]}"; do
    wait "${running[k]}"
    report "${targets[i + k]}" $?
  done
done

printf '\nfuzz tests: %d passed, %d failed\n' "$passed" "$failed"
exit $((failed > 0))
