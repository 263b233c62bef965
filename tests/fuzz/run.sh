#!/usr/bin/env bash
# Runs fuzz targets for some seconds each, two at a time, and ends on a line that counts them:
#   run.sh [SECONDS] [TARGET...]
set -uo pipefail
cd "$(dirname "$0")/../.."

seconds=60
if [[ ${1:-} =~ ^[0-9]+$ ]]; then seconds=$1 && shift; fi
targets=("$@")
if ((${#targets[@]} == 0)); then targets=(safetensors npz npy idx checkpoint autotune words); fi

build=build/fuzz
at_once=2

# fuzz TARGET: keeps new inputs in the build folder, where the next run goes on from them.
fuzz() {
  local target=$1 dictionary=tests/fuzz/$1.dict
  local new=$build/corpus/$target faults=$build/faults/$target
  mkdir -p "$new" "$faults"
  local options=(-max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=256
                 -artifact_prefix="$faults/" -print_final_stats=1 -verbosity=1)
  [[ -e $dictionary ]] && options+=(-dict="$dictionary")
  ASAN_OPTIONS=allocator_may_return_null=0 UBSAN_OPTIONS=print_stacktrace=1 \
    "$build/tests/fuzz/fuzz_$target" "${options[@]}" "$new" "tests/fuzz/corpus/$target" >"$build/$target.log" 2>&1
}

passed=0 failed=0
# report TARGET STATUS
report() {
  local executions
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$1.log")
  if (($2 == 0)); then
    printf '%-14s ok, %d executions\n' "$1" "${executions:-0}"
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
