#!/usr/bin/env bash
# Runs the tests of a preset and ends on one line that counts them: run-tests.sh PRESET [ctest argument...]
set -uo pipefail
preset=$1
shift
cores=$(nproc)
# Several tests run at once: their threads sleep rather than spin while they wait, and there are few of them.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores < 4 ? cores : 4))}

# The thread sanitizer of g++ 12 does not start where addresses are randomised by more bits than it knows.
launch=()
if [[ $preset == tsan ]] && setarch --addr-no-randomize true 2>/dev/null; then launch=(setarch --addr-no-randomize); fi

progress=()
[[ -t 1 ]] && progress=(--progress)
log=build/$preset/tests.log
"${launch[@]}" ctest --preset "$preset" --parallel "$cores" "${progress[@]}" "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

# "98% tests passed, 2 tests failed out of 100"
counts=$(sed -n 's/^[0-9]*% tests passed, \([0-9]*\) tests\{0,1\} failed out of \([0-9]*\)$/\1 \2/p' "$log")
read -r failed total <<<"${counts:-0 0}"
if ((status == 0 && total == 0)) || ((status != 0 && failed == 0)); then failed=1 total=$((total + 1)); fi
printf '\n%s tests: %d passed, %d failed\n' "$preset" $((total - failed)) "$failed"
exit $((failed > 0 || status != 0))
