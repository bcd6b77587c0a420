#!/bin/bash
# test-all.sh STAGE...: runs each `make` target even if an earlier one failed, then sums up. The last line counts
# the tests that the runs themselves reported; a stage that broke without a failed test counts as one failure. It is
# kept in .build/test-results/summary too.
set -uo pipefail
cd "$(dirname "$0")/../.."

results=.build/test-results
rm -rf "$results"
mkdir -p "$results"
declare -A status seconds
for stage in "$@"; do
    printf '\n==== %s\n' "$stage"
    began=$SECONDS
    ${MAKE:-make} --no-print-directory "$stage"
    status[$stage]=$?
    seconds[$stage]=$((SECONDS - began))
done

# The figure of one attribute in a run's result file; 0 when the run left none.
figure() {
    local value
    value=$(sed -n "s/.*<testsuite .* $2=\"\([0-9]*\)\".*/\1/p" "$results/${1#test-}.xml" 2>/dev/null)
    echo "${value:-0}"
}

for failures in "$results"/*.failures; do
    [ -s "$failures" ] || continue
    printf '\n==== what failed in %s\n' "$(basename "$failures" .failures)"
    cat "$failures"
done

total_passed=0
total_failed=0
printf '\n==== summary\n'
for stage in "$@"; do
    failed=$(figure "$stage" failures)
    errors=$(figure "$stage" errors)
    failed=$((failed + errors))
    passed=$(($(figure "$stage" tests) - failed))
    skipped=$(figure "$stage" skipped)
    note=""
    if [ "${status[$stage]}" -ne 0 ] && [ "$failed" -eq 0 ]; then
        failed=1
        note="   (stage failed, exit status ${status[$stage]})"
    fi
    total_passed=$((total_passed + passed))
    total_failed=$((total_failed + failed))
    case $stage in
    test-*) result="$passed passed, $failed failed, $skipped skipped" ;;
    *) result=$([ "${status[$stage]}" -eq 0 ] && echo ok || echo FAILED) ;;
    esac
    printf '%-15s %4d s   %s%s\n' "$stage" "${seconds[$stage]}" "$result" "$note"
done
echo "$total_passed passed, $total_failed failed" | tee "$results/summary"
[ "$total_failed" -eq 0 ] && [ "$total_passed" -gt 0 ]
