#!/usr/bin/env python3
"""House rules for Sources that neither the compiler nor swift-format checks. Prints findings, exits 1 if any."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What must not fail at run time without a line that says why it cannot.
TRAPPING_RULES = ["NeverForceUnwrap", "NeverUseForceTry", "NeverUseImplicitlyUnwrappedOptionals"]
TRAPPING_TEXT = re.compile(r"\bunsafelyUnwrapped\b|\bunowned\(unsafe\)")
# 45 MB in the binary; FoundationEssentials has what is needed.
FOUNDATION = re.compile(r"^\s*(@\w+(\([^)]*\))?\s+)*(\w+\s+)?import\s+(\w+\s+)?Foundation(Networking|XML)?\b")
# Locks that do not count their own contention.
FOREIGN_LOCKS = re.compile(
    r"\bos_unfair_lock|\bpthread_(mutex|rwlock|spin|cond)_|\bNIOLock|\bNIOLockedValueBox\b|\bConditionLock\b"
    r"|\bSynchronization\.Mutex\b|\bDispatchSemaphore\b|\bNS(Recursive|Condition)?Lock\b|\bsem_(wait|init)\b|\bmtx_lock\b"
)
WHOLE_SYNCHRONIZATION = re.compile(r"^\s*(@\w+\s+)*(\w+\s+)?import\s+Synchronization\s*$", re.M)


def without_comments(text):
    """Blanks comments, keeping line numbers. A // inside a string literal is taken for one: it can only hide."""
    text = re.sub(r"/\*.*?\*/", lambda match: re.sub(r"[^\n]", " ", match.group()), text, flags=re.S)
    return re.sub(r"(?<!:)//.*", "", text)


def justified(lines, number):
    """Whether the line itself or the comment directly above it holds SAFETY:."""
    if "SAFETY:" in lines[number - 1]:
        return True
    index = number - 2
    while index >= 0 and lines[index].lstrip().startswith("//"):
        if "SAFETY:" in lines[index]:
            return True
        index -= 1
    return False


def trapping(swift):
    """Lines that swift-format's rules against traps name, whatever the ignore comments say."""
    house = json.loads((ROOT / ".swift-format").read_text())
    rules = {name: False for name in house.get("rules", {})}
    rules.update({name: True for name in TRAPPING_RULES})
    with tempfile.TemporaryDirectory() as directory:
        configuration = Path(directory) / "configuration.json"
        configuration.write_text(json.dumps({**house, "rules": rules}))
        copies = {}
        for path in swift:
            copy = Path(directory) / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(path.read_text().replace("swift-format-ignore", "swift-format-heeded"))
            copies[str(copy)] = path
        command = os.environ.get("SWIFT", "swift").split() + ["format", "lint", "--configuration", str(configuration)]
        result = subprocess.run(command + sorted(copies), capture_output=True, text=True)
        for line in (result.stdout + result.stderr).splitlines():
            match = re.match(r"(.+?):(\d+):\d+: \w+: \[(\w+)\] (.*)", line)
            if match and match[3] in TRAPPING_RULES:
                yield copies[match[1]], int(match[2]), match[4]


def main():
    sources = sorted(path for path in (ROOT / "Sources").rglob("*") if path.suffix in {".swift", ".c", ".h"})
    swift = [path for path in sources if path.suffix == ".swift"]
    findings = []
    for path in sources:
        text = path.read_text()
        lines = text.split("\n")
        code = without_comments(text).split("\n")
        for number, line in enumerate(code, 1):
            if path.suffix == ".swift" and FOUNDATION.match(line):
                findings.append((path, number, "import FoundationEssentials instead of Foundation"))
            if FOREIGN_LOCKS.search(line):
                findings.append((path, number, "use a lock of LockLadder: this one does not count its contention"))
            if TRAPPING_TEXT.search(line) and not justified(lines, number):
                findings.append((path, number, "needs a SAFETY: comment that says why it cannot go wrong"))
        # Inside LockLadder the name Mutex means its own.
        if "LockLadder" not in path.parts and WHOLE_SYNCHRONIZATION.search(text):
            for number, line in enumerate(code, 1):
                if re.search(r"(?<![\w.])Mutex\s*[<(]", line) and "import LockLadder" not in text:
                    findings.append((path, number, "use LockLadder's Mutex, not Synchronization's"))
    for path, number, message in trapping(swift):
        if not justified(path.read_text().split("\n"), number):
            findings.append((path, number, f"{message}, or say in a SAFETY: comment why it cannot fail"))
    for path, number, message in sorted(findings):
        print(f"{path.relative_to(ROOT)}:{number}: error: {message}")
    return 1 if findings else 0


sys.exit(main())
