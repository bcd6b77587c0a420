#!/usr/bin/env python3
"""Checks the machine code of the ladder's fast paths.

    check-fast-paths.py PATH/TO/ladder-fast-paths

The executable (Tests/FastPaths, built for release) has one function for each fast path. Of each, the fast path is every
way from the entry to a return that makes no call: all slow ways of these functions do. On it there must be no call at
all, the right number of locked instructions, and as many instructions as the table below says: more, and a change has
made the path longer; fewer, and the path that was measured is gone (it has a call now, and what is left is a shorter
one beside it).

Of some slow paths of the library it checks that a fence, or an instruction that is one, comes before the first branch:
what a thread has stored must be visible before it looks at what others have, and that look is what the branch is about.
Without the fence all tests may pass for years.

Functions named Naive do the same in ways that look harmless. The check must object to each of them, for the reason in
the table; where it does not, it is the check that is broken, and it fails.

Checks x86-64 only: elsewhere it says that it was not run.
"""

import os
import platform
import re
import subprocess
import sys

# Function: (locked instructions, fewest instructions of the longest call-free way, most of them).
PATHS = {
    "readSnapshotByHandle": (0, 11, 13),
    "readSnapshotImplicitly": (0, 25, 27),
    "lockAndUnlock": (1, 34, 36),
    "readLockByHandle": (0, 32, 34),
    "readLockImplicitly": (0, 45, 47),
}

# Function: (the path whose rules it is held to, what the check must say about it).
NAIVE = {
    "readSnapshotNaive": ("readSnapshotByHandle", "calls swift_retain"),
    "readSnapshotInObjectNaive": ("readSnapshotByHandle", "calls swift_beginAccess"),
    "readSnapshotLongNaive": ("readSnapshotByHandle", "instructions"),
    "lockAndUnlockNaive": ("lockAndUnlock", "locked instructions"),
    "readLockNaive": ("readLockByHandle", "locked instructions"),
}

# Functions of the library in which a fence comes before the first branch: what precedes the name in its symbol, and why
# it is there.
FENCED = {
    "protect": ("", "a reader's announcement, before it looks whether the object is still the newest"),
    "wake": ("9MutexCoreV", "a mutex that was let go, before the look who sleeps"),
    "wakeWriter": ("6RWCoreV", "a read that has ended, before the look whether a writer sleeps"),
    "lockSharedSlowly": ("6RWCoreV", "a reader's announcement, before the look at the gate"),
}

# The same of the executable: the check must object to it.
UNFENCED = "announceNaive"

# More ways than that through one function: it is not a fast path, and the search ends.
MOST_WAYS = 10_000

PADDING = re.compile(r"^(nop|data16|cs nop|xchg +%ax,%ax|int3)")
CONDITIONAL = re.compile(r"^j(?!mp)[a-z]+ ")
LOCKED_EXCHANGE = re.compile(r"^xchg .*\(")


class Instruction:
    def __init__(self, address, text):
        self.address = address
        self.text = text
        target = re.search(r"\b([0-9a-f]+) <([^>]*)>$", text)
        self.target = int(target.group(1), 16) if target else None
        self.target_name = target.group(2) if target else "?"

    @property
    def is_call(self):
        return self.text.startswith("call")

    @property
    def is_locked(self):
        # An exchange with memory is locked without saying so; a fence costs as much.
        return self.text.startswith(("lock", "mfence")) or bool(LOCKED_EXCHANGE.match(self.text))


def disassemble(executable):
    """All functions of the executable: symbol -> instructions."""
    output = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", executable], check=True, capture_output=True, text=True
    ).stdout
    functions, current = {}, []
    for line in output.splitlines():
        if head := re.match(r"^[0-9a-f]+ <(.*)>:$", line):
            current = functions.setdefault(head.group(1), [])
        elif code := re.match(r"^ +([0-9a-f]+):\t(.*)$", line):
            text = code.group(2).split("#")[0].strip()
            current.append(Instruction(int(code.group(1), 16), text))
    return functions


def find(functions, name, module="17ladder_fast_paths", within=""):
    """The function of this name itself, not a specialised copy of it."""
    # A mangled name is preceded by its length, except where it is made of words that came before.
    pattern = re.compile(rf"^\$s{module}{within}{len(name)}{name}[^0-9A-Za-z]?.*F$")
    found = [symbol for symbol in functions if pattern.match(symbol)]
    return functions[found[0]] if len(found) == 1 else None


def ways(code):
    """The ways from the entry to the end of the function, none through an instruction twice."""
    index = {instruction.address: place for place, instruction in enumerate(code)}
    open_ways = [((), 0)]
    found = []
    while open_ways:
        way, place = open_ways.pop()
        while place is not None and place < len(code):
            instruction = code[place]
            if place in way or instruction.text.startswith("ud2"):
                break
            way += (place,)
            if instruction.text.startswith("ret"):
                found.append([code[step] for step in way])
                break
            if instruction.text.startswith("jmp"):
                place = index.get(instruction.target)
                if place is None:
                    # Out of the function: a call whose return is the caller's.
                    found.append([code[step] for step in way])
                continue
            if CONDITIONAL.match(instruction.text) and instruction.target in index:
                open_ways.append((way, index[instruction.target]))
            place += 1
        if len(found) > MOST_WAYS:
            return None
    return found


def calls(way):
    last = way[-1]
    inside = [instruction.target_name for instruction in way if instruction.is_call]
    return inside + ([last.target_name] if last.text.startswith("jmp") else [])


def length(way):
    return sum(1 for instruction in way if not PADDING.match(instruction.text))


def violations(code, rules):
    """What is wrong with a function, and how many instructions its fast path has."""
    locked, fewest, most = rules
    every = ways(code)
    if not every:
        return ["has no way through that could be followed"], 0
    fast = [way for way in every if not calls(way)]
    if not fast:
        least = min(every, key=lambda way: len(calls(way)))
        return [f"calls {name}" for name in calls(least)], length(least)
    found = []
    for way in fast:
        count = sum(1 for instruction in way if instruction.is_locked)
        if count != locked:
            found.append(f"has {count} locked instructions on a way without a call, not {locked}")
    longest = max(length(way) for way in fast)
    if longest > most:
        found.append(f"has {longest} instructions, not {most}")
    if longest < fewest:
        found.append(f"has {longest} instructions, not {fewest}: the way that was measured makes a call now")
    return sorted(set(found)), longest


def is_fenced(code):
    """Whether a fence comes before the first branch, and before the first return or call."""
    for instruction in code:
        if instruction.is_locked:
            return True
        if instruction.text.startswith(("j", "call", "ret")):
            return False
    return False


def check_fences(functions):
    """What is said of the fences, and whether one is missing."""
    failed = False
    for name, (within, reason) in FENCED.items():
        code = find(functions, name, "10LockLadder", within)
        if code is None:
            failed = True
            print(f"{name}: WRONG\n  is not in the executable")
        elif is_fenced(code):
            print(f"{name}: fenced")
        else:
            failed = True
            print(f"{name}: WRONG\n  has no fence behind {reason}")
    code = find(functions, UNFENCED)
    if code is None or is_fenced(code):
        failed = True
        print(f"{UNFENCED}: WRONG: the check does not object to it")
    else:
        print(f"{UNFENCED}: objected to, as it must be: no fence")
    return failed


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if platform.machine() not in ("x86_64", "amd64"):
        print(f"fast paths: not checked on {platform.machine()}; the figures are those of x86-64")
        return
    functions = disassemble(os.path.realpath(sys.argv[1]))
    failed = False
    for name, rules in PATHS.items():
        code = find(functions, name)
        found, longest = violations(code, rules) if code else (["is not in the executable"], 0)
        print(f"{name}: {longest} instructions, {rules[0]} locked, no call" if not found else f"{name}: WRONG")
        for line in found:
            failed = True
            print(f"  {line}")
    for name, (path, expected) in NAIVE.items():
        code = find(functions, name)
        found, _ = violations(code, PATHS[path]) if code else (["is not in the executable"], 0)
        if any(expected in line for line in found):
            print(f"{name}: objected to, as it must be: {next(line for line in found if expected in line)}")
        else:
            failed = True
            print(f"{name}: WRONG: the check does not say \"{expected}\" of it, but {found or 'nothing'}")
    failed = check_fences(functions) or failed
    if failed:
        sys.exit("fast paths: not as they must be")


if __name__ == "__main__":
    main()
