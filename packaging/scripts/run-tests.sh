#!/bin/bash
# run-tests.sh NAME COMMAND...: a `swift test` under a time limit, its results kept in .build/test-results/NAME.*
# Fails when a test fails, when the sanitizer speaks up, and when no test ran at all.
set -uo pipefail
cd "$(dirname "$0")/../.."

name=$1
shift
results=.build/test-results
mkdir -p "$results"
rm -f "$results/$name".*

timeout --kill-after=30 "${TEST_TIMEOUT:-1800}" "$@" --disable-xctest --xunit-output "$PWD/$results/$name.xml" \
    </dev/null 2>&1 | tee "$results/$name.log"
status=${PIPESTATUS[0]}
case $status in
0) ;;
124 | 137) echo "$name: stopped after ${TEST_TIMEOUT:-1800} seconds" ;;
esac

if grep -q 'WARNING: ThreadSanitizer' "$results/$name.log"; then
    echo "$name: the thread sanitizer found something, see $results/$name.log"
    [ "$status" -ne 0 ] || status=66
fi
ran=$(sed -n 's/.*<testsuite .* tests="\([0-9]*\)".*/\1/p' "$results/$name.xml" 2>/dev/null)
if [ "$status" -eq 0 ] && [ "${ran:-0}" -eq 0 ]; then
    echo "$name: no test ran"
    status=1
fi
# Once more where they are found: what failed is said thousands of lines above.
if [ "$status" -ne 0 ]; then
    grep -a -A1 'recorded an issue\|WARNING: ThreadSanitizer' "$results/$name.log" | cut -c1-400 | head -60 \
        >"$results/$name.failures"
    sed "s/^/$name: /" "$results/$name.failures"
fi
exit "$status"
