#!/usr/bin/env python3
"""Reports which lines the unit tests ran, and which error paths they did not.

    coverage.py CODECOV.json OUTPUT.txt

CODECOV.json is what `swift test --enable-code-coverage` leaves behind. Prints for each module of ours the share of its
lines that ran, and of those that deal with an error (throw, catch, a failure returned, a refusal). The error lines that
did not run are listed in OUTPUT.txt. Says what is; fails only when there is nothing to say.
"""

import json
import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ERROR = re.compile(r"\bthrow\b|\bcatch\b|\breturn \.failed\(|\breturn \.failure\(|\.failure\(|\bfatalError\(")


def counts_by_line(segments):
    """Executions of each line, from llvm-cov's segments: [line, column, count, has count, is entry, is gap]."""
    counts = {}
    for (line, _, count, has_count, *_), following in zip(segments, segments[1:] + [None]):
        if not has_count:
            continue
        last = following[0] if following else line
        for number in range(line, last + 1):
            counts[number] = max(count, counts.get(number, 0))
    return counts


def main():
    report = json.loads(Path(sys.argv[1]).read_text())
    totals = defaultdict(lambda: [0, 0, 0, 0])
    missed = []
    for entry in report["data"][0]["files"]:
        path = Path(entry["filename"])
        if ROOT / "Sources" not in path.parents or path.suffix != ".swift":
            continue
        module = path.relative_to(ROOT / "Sources").parts[0]
        lines = path.read_text().split("\n")
        ran = counts_by_line(entry["segments"])
        for number, count in ran.items():
            if number > len(lines):
                continue
            text = lines[number - 1].split("//")[0]
            total = totals[module]
            total[0] += 1
            total[1] += count > 0
            if ERROR.search(text) and "throws" not in text:
                total[2] += 1
                total[3] += count > 0
                if count == 0:
                    missed.append(f"{path.relative_to(ROOT)}:{number}: {text.strip()}")
    if not totals:
        print("there is no coverage of Sources in the report")
        return 1
    print(f"{'module':20} {'lines':>7} {'ran':>6}   {'error lines':>11} {'ran':>6}")
    for module, (lines, ran, errors, errors_ran) in sorted(totals.items()):
        share = f"{100 * errors_ran / errors:5.1f}%" if errors else "     -"
        print(f"{module:20} {lines:7} {100 * ran / lines:5.1f}%   {errors:11} {share}")
    Path(sys.argv[2]).write_text("".join(line + "\n" for line in sorted(missed)))
    print(f"{len(missed)} lines that deal with errors were not run by the unit tests: {sys.argv[2]}")
    return 0


sys.exit(main())
