#!/bin/bash
# check-bench.sh LADDER: right after `LadderBench quick`: the benchmark notices a planted slowdown and a planted missed
# goal, and the documentation's figures are those of the stored results, once there are any.
set -euo pipefail
cd "$(dirname "$0")/../.."
ladder=$1
output=$(mktemp)
scratch=$(mktemp -d)
trap 'rm -rf "$output" "$scratch"' EXIT

fail() {
    cat "$output" >&2
    echo "the benchmark $1" >&2
    exit 1
}

# Against the ratios that this machine had a moment ago: whatever differs now was planted.
now=.build/bench/quick.json
left=('snapshot-read quiet|1 threads|ladder, reader handle' 'snapshot-read quiet|1 threads|ladder, implicit'
    'snapshot-read quiet|2 threads|ladder, reader handle' 'snapshot-read quiet|2 threads|ladder, implicit'
    'mutex tight|1 threads|ladder' 'rw-read quiet|1 threads|ladder, reader handle' 'once|1 threads|ladder'
    'key 256 keys|1 threads|ladder, String' 'key 256 keys|1 threads|ladder, remembered')
seen=0
# What a busy moment has hidden is looked for again, twice.
for attempt in 1 2 3; do
    status=0
    mapfile -t contests < <(printf '%s\n' "${left[@]%%|*}" | sort -u)
    BENCH_PLANTED=15 "$ladder/LadderBench" quick "$ladder" "$now" "${contests[@]}" >"$output" 2>&1 || status=$?
    [ "$status" -le 1 ] || fail "breaks when a slowdown is planted"
    hidden=()
    for entry in "${left[@]}"; do
        IFS='|' read -r contest threads name <<<"$entry"
        subject="$contest, $threads, $name"
        # Each of them, where others left the machine alone for long enough, both times.
        if ! grep -qF "\"$contest|$name|${threads% threads}|" "$now" ||
            grep -qF "disturbed, held loosely: $subject: " "$output"; then
            echo "not shown for $subject: others use this machine too much"
        elif grep -qF "WORSE: $subject: " "$output"; then
            seen=$((seen + 1))
        else
            hidden+=("$entry")
        fi
    done
    [ "$seen" = 0 ] || [ "$status" = 1 ] || [ "$attempt" -gt 1 ] || fail "sees a slowdown and ends with $status"
    left=("${hidden[@]}")
    [ "${#left[@]}" -gt 0 ] || break
    echo "not noticed in run $attempt: ${left[*]}"
done
[ "${#left[@]}" = 0 ] || fail "does not notice a slowdown of 15 % of ${left[*]}"
noticed="$seen of 9 slowdowns of 15 %"
if [ "$seen" = 0 ]; then
    # On a machine that is never quiet it only tells what is grave, and that it has to.
    status=0
    BENCH_PLANTED=100 "$ladder/LadderBench" quick "$ladder" Tests/Benchmarks/stored.json 'mutex tight' >"$output" 2>&1 || status=$?
    if grep -q 'only reported' "$output"; then
        noticed="NOT SHOWN for slowdowns: a busy machine with another processor"
    else
        [ "$status" = 1 ] && grep -q '^WORSE: ' "$output" || fail "does not notice that all of ours takes twice as long"
        noticed="on this busy machine only that all takes twice as long"
    fi
fi

# A mutex that takes ten times as long misses its goals, whatever machine this is.
status=0
BENCH_PLANTED=900 "$ladder/LadderBench" measure "$ladder" "$scratch" 'mutex tight' >"$output" 2>&1 || status=$?
[ "$status" = 1 ] || fail "ends with $status where goals are missed"
grep -q '^MISSED P4 mutex tight, ladder, 1 threads against pthread' "$output" || fail "does not say which goal is missed"
python3 - "$scratch/ladder.json" <<'PYTHON'
import json, sys
rows = json.load(open(sys.argv[1]))
wanted = {"case", "subject", "threads", "ns", "p99_ns", "anchor", "anchor_ns", "ratio", "goal", "met"}
missed = [row for row in rows if row.get("met") is False]
assert missed and all(wanted <= row.keys() for row in rows), rows
PYTHON

echo "the benchmark notices what is planted ($noticed; a missed goal)"

# Stored by `make figures`; until then the documentation has no figures that could be others.
if [ -d Tests/Benchmarks/Results ]; then
    "$ladder/LadderBench" figures Tests/Benchmarks/Results . --check >"$output" 2>&1 ||
        fail "gives other figures than the documentation"
    echo "the documentation has the stored figures"
fi
