"""Checks that every subject of the anchor programs runs and prints a line that can be true."""

import json
import subprocess
import sys

SUBJECTS = {
    "c": """snapshot-read c-acquire, snapshot-read urcu-memb, snapshot-read urcu-qsbr, snapshot-read urcu-bp,
        snapshot-publish urcu-memb, snapshot-publish urcu-qsbr, mutex pthread, rw-read pthread, rw-write pthread,
        counter c, once pthread_once""",
    "cpp": """snapshot-read libstdcxx-atomic-shared-ptr, snapshot-publish libstdcxx-atomic-shared-ptr,
        mutex std-mutex, rw-read std-shared-mutex, key unordered_map""",
    "rust": """snapshot-read arc-swap-load, snapshot-read arc-swap-load-full, snapshot-read arc-swap-cache,
        snapshot-read crossbeam-epoch, snapshot-read std-rwlock, snapshot-read parking-lot-rwlock,
        snapshot-publish arc-swap, snapshot-publish crossbeam-epoch, mutex std-mutex, mutex parking-lot,
        rw-read std-rwlock, rw-read parking-lot, rw-write std-rwlock, rw-write parking-lot, key hashmap,
        map dashmap, map rwlock-hashmap, once once_cell, flight-alone rust-condvar, flight-crowd rust-condvar""",
    "go": """snapshot-read go-atomic-pointer, snapshot-publish go-atomic-pointer, mutex go-mutex,
        rw-read go-rwmutex, rw-write go-rwmutex, map go-sync-map, key go-map, once go-once,
        flight-alone go-singleflight, flight-crowd go-singleflight, pool go-sync-pool, counter go""",
}
# Listed where the compiler has it.
OPTIONAL = {"once OnceLock"}

WRITERS = ["writer=none", "writer=1khz", "writer=flat"]
VARIANTS = {
    "once": ["", "writer=flat"],
    "snapshot-read": WRITERS,
    "rw-read": WRITERS,
    "map": WRITERS,
    "snapshot-publish": [""],
    "mutex": ["work=0", "work=40", "writer=flat"],
    "rw-write": ["readers=0", "readers=3"],
    "counter": ["layout=adjacent", "layout=padded"],
    "pool": ["layout=pooled", "layout=plain"],
    "key": ["keys=256", "keys=10000"],
    "flight-crowd": ["callers=8 rounds=3", "callers=64 rounds=3"],
}
# Whose line says 1 whatever `threads` says.
ALONE = {"key", "flight-alone"}
FIELDS = ["case", "subject", "threads", "ns", "ops", "p50_ns", "p99_ns", "p999_ns", "least", "most", "checksum"]

failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}", file=sys.stderr)


def run(program, *arguments):
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)


def options(text):
    return dict(pair.split("=") for pair in text.split())


def check_extra(what, case, given, line):
    extra = line.get("extra", {})
    if case == "rw-read" and given["writer"] != "none":
        check(extra["writes"] >= 0 and extra["write_wait_p50_ns"] <= extra["write_wait_p99_ns"], f"{what}: waits")
        uppers = [upper for upper, _ in extra["histogram"]]
        check(uppers and uppers == sorted(set(uppers)), f"{what}: histogram's order")
        check(all(count > 0 for _, count in extra["histogram"]), f"{what}: histogram's counts")
    elif case == "rw-write":
        check(extra == {"idle_readers": int(given["readers"])}, f"{what}: idle readers")
    elif case == "flight-crowd":
        rounds, callers = int(given["rounds"]), int(given["callers"])
        check(extra["calls"] == rounds * callers == line["ops"], f"{what}: calls")
        check(rounds <= extra["flights"] <= extra["calls"] / 2, f"{what}: {extra['flights']} flights")
    elif case == "pool":
        check(extra["bytes"] == extra["allocations"] * 65536, f"{what}: bytes")
        share = extra["allocations"] / line["ops"]
        check(share < 0.1 if given["layout"] == "pooled" else share >= 1, f"{what}: {share} allocations a use")
    else:
        check(not extra, f"{what}: an extra nobody asked for")


def check_line(what, case, subject, given, line):
    check(list(line)[: len(FIELDS)] == FIELDS and set(line) <= {*FIELDS, "extra"}, f"{what}: fields {list(line)}")
    check(line["case"] == case and line["subject"] == subject, f"{what}: whose line?")
    threads = given.get("callers", "1" if case in ALONE else given["threads"])
    check(line["threads"] == int(threads), f"{what}: threads {line['threads']}")
    check(line["ops"] > 0 and 0 < line["ns"] < 1e8, f"{what}: {line['ops']} operations of {line['ns']} ns")
    check(0 <= line["p50_ns"] <= line["p99_ns"] <= line["p999_ns"], f"{what}: percentiles")
    check(0 <= line["least"] <= line["most"] <= line["ops"], f"{what}: least and most")
    check(0 < line["checksum"] < 2**64, f"{what}: checksum {line['checksum']}")
    check_extra(what, case, given, line)


def check_subject(program, case, subject):
    threads = ["0", "1", "2"] if case == "snapshot-publish" else ["1", "2"]
    for variant in VARIANTS.get(case, [""]):
        for count in threads:
            arguments = [case, subject, f"threads={count}", "ms=20", *variant.split()]
            what = f"{program} {' '.join(arguments)}"
            result = run(program, *arguments)
            check(result.returncode == 0, f"{what}: exit {result.returncode}: {result.stderr}")
            check(result.stdout.count("\n") == 1, f"{what}: not one line: {result.stdout!r}")
            if result.returncode == 0:
                given = {"threads": count, **options(variant)}
                check_line(what, case, subject, given, json.loads(result.stdout))


def check_refusals(program, case, subject):
    for arguments in (
        ["no-such-case", subject],
        [case, "no-such-subject"],
        [case, subject, "no-such-key=1"],
        [case, subject, "writer=hourly"],
        [case, subject, "threads=many"],
        [case, subject, "threads=-1"],
        [case],
        [],
    ):
        result = run(program, *arguments)
        check(result.returncode == 64, f"{program} {' '.join(arguments)}: exit {result.returncode} instead of 64")
        check(not result.stdout and result.stderr, f"{program} {' '.join(arguments)}: says nothing on stderr")


for language, text in SUBJECTS.items():
    program = f"{sys.argv[1]}/anchor-{language}"
    expected = {" ".join(pair.split()) for pair in text.split(",")}
    listed = run(program, "--list").stdout.splitlines()
    check(expected <= set(listed), f"{program} --list lacks {expected - set(listed)}")
    check(len(listed) == len(set(listed)), f"{program} --list repeats itself")
    check_refusals(program, *listed[0].split())
    for pair in listed:
        check_subject(program, *pair.split())
    print(f"anchor-{language}: {len(listed)} subjects")

sys.exit(f"{len(failures)} checks failed" if failures else 0)
