#!/bin/bash
# fuzz.sh [TARGET...]: feeds each target (all of Tests/Fuzz when none is named) with what libFuzzer makes of the files in
# Tests/Fuzz/Corpus, for FUZZ_SECONDS each (10), or with FUZZ_RUNS for so many runs. The figures go to .build/bench/fuzz.json.
# Fails on a crash, a hang or a leak, and says where the input lies and how to run it again. What was found that is new is
# kept in .build/fuzz/corpus, and taken up by the next run; FUZZ_FRESH=1 begins with the tree's files alone.
set -uo pipefail
cd "$(dirname "$0")/../.."
swift=${SWIFT:-swift}
scratch=.build/fuzz
seconds=${FUZZ_SECONDS:-10}
all=(json yaml number pattern schema trust store http etcd consul nacos origin)
targets=("$@")
[ "$#" -gt 0 ] || targets=("${all[@]}")

fail() {
    echo "$1" >&2
    exit 2
}
for target in "${targets[@]}"; do
    [ -d "Tests/Fuzz/Corpus/$target" ] || fail "there is no target '$target'; there are: ${all[*]}"
done

# Not in what is shipped or tested: only this variable brings the target, and the counting of edges, into the package.
CONFIG_AGENT_FUZZ=1 $swift build -c release --product fuzz --scratch-path "$scratch" || fail "it cannot be built"
program=$PWD/$scratch/release/fuzz

# A backtrace of a crash takes minutes to be given names, and the input is what matters. Where each piece of memory was
# taken is not kept either: it costs more than all else, and whoever runs an input again sees it.
export SWIFT_BACKTRACE=enable=no
export ASAN_OPTIONS=symbolize=0:detect_leaks=1:malloc_context_size=0:quarantine_size_mb=16

if [ -n "${FUZZ_RUNS:-}" ]; then
    length=(-runs="$FUZZ_RUNS")
    limit=${FUZZ_LIMIT:-7200}
else
    length=(-max_total_time="$seconds")
    limit=$((seconds + 120))
fi

# For the sockets of whatever ends in a crash, and so leaves them.
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

mkdir -p .build/bench "$scratch/found" "$scratch/logs"
failed=0
lines=()
printf '%-8s %12s %9s %7s %7s %7s  %s\n' target executions exec/s edges features seconds verdict
for target in "${targets[@]}"; do
    corpus=$scratch/corpus/$target
    [ -z "${FUZZ_FRESH:-}" ] || rm -rf "$corpus"
    mkdir -p "$corpus"
    log=$scratch/logs/$target.log
    options=(-max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$scratch/found/$target-")
    dictionary=Tests/Fuzz/Dictionaries/$target.dict
    [ ! -f "$dictionary" ] || options+=(-dict="$dictionary")
    FUZZ_TARGET=$target timeout --kill-after=10 "$limit" "$program" "${options[@]}" "${length[@]}" "$corpus" \
        "Tests/Fuzz/Corpus/$target" >"$log" 2>&1
    status=$?
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
    speed=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log" | tail -1)
    took=$(sed -n 's/^Done [0-9]* runs in \([0-9]*\) second.*/\1/p' "$log" | tail -1)
    read -r edges features < <(sed -n 's/.* cov: \([0-9]*\) ft: \([0-9]*\) .*/\1 \2/p' "$log" | tail -1)
    case $status in
    0) verdict=clean ;;
    124 | 137) verdict="stopped after $limit seconds" ;;
    *) verdict=$(grep -m1 -oE 'ERROR: (libFuzzer|AddressSanitizer|LeakSanitizer): [a-z -]*' "$log" | sed 's/ERROR: //') ;;
    esac
    printf '%-8s %12s %9s %7s %7s %7s  %s\n' "$target" "${executions:-?}" "${speed:-?}" "${edges:-?}" "${features:-?}" \
        "${took:-?}" "${verdict:-ended with status $status}"
    lines+=("$(printf '  {"target": "%s", "executions": %s, "perSecond": %s, "edges": %s, "features": %s, "seconds": %s, "clean": %s}' \
        "$target" "${executions:-0}" "${speed:-0}" "${edges:-0}" "${features:-0}" "${took:-0}" \
        "$([ "$status" -eq 0 ] && echo true || echo false)")")
    [ "$status" -ne 0 ] || continue
    failed=1
    artifact=$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)
    grep -a -m3 -E 'Fatal error|ERROR:' "$log" | cut -c1-400 >&2
    echo "$target: see $log; the input: ${artifact:-none was kept}" >&2
    [ -z "$artifact" ] || echo "again: SWIFT_BACKTRACE=enable=no FUZZ_TARGET=$target $scratch/release/fuzz $artifact" >&2
done
{
    echo '['
    (IFS=$'\n'; echo "${lines[*]}" | sed '$!s/$/,/')
    echo ']'
} >.build/bench/fuzz.json
exit "$failed"
