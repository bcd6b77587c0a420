#!/bin/bash
# Builds and runs the program in Tests/Example, which uses LockLadder alone, with the accounting and without it.
set -euo pipefail
cd "$(dirname "$0")/../.."
swift=${SWIFT:-swift}

run() { # ACCOUNTING: what the program prints
    LADDER_ACCOUNTING=$1 timeout --kill-after=30 900 $swift run --quiet --package-path Tests/Example \
        --scratch-path ".build/example-$1"
}

fail() {
    printf 'the example %s:\n%s\n' "$1" "$2" >&2
    exit 1
}

with=$(run on)
grep -qx 'sold for 12000000' <<<"$with" || fail "miscounts" "$with"
grep -qx 'mutex example.sold 40001' <<<"$with" || fail "does not show what its lock counted" "$with"
grep -qx 'flight example.downloads 4' <<<"$with" || fail "does not show its flights" "$with"
without=$(run off)
grep -qx 'sold for 12000000' <<<"$without" || fail "miscounts without the accounting" "$without"
if grep -q 'example\.' <<<"$without"; then fail "counts although the accounting is compiled out" "$without"; fi
echo "the example works, with the accounting and without it"
