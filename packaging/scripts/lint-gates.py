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
# Locks that do not count their own contention, and what can be used as one. In text without comments; what stands in
# strings counts, because a function may be looked up by its name.
FOREIGN_LOCKS = re.compile(
    r"""
    \bpthread_(?:mutex|rwlock|spin|cond|barrier|once)\w*
    | \bmtx_\w+ | \bcnd_\w+ | \bcall_once\b | \batomic_flag\w* | \b__(?:atomic_test_and_set|sync_lock_\w+)
    | \bsem_\w+ | \bsem(?:op|timedop|get)\b | \b(?:SYS_|__NR_)?futex\w*\b | \bFUTEX_\w+
    | \b(?:flock|lockf|ftrylockfile|flockfile)\b | \bF_(?:OFD_)?SETLKW?(?:64)?\b
    | \bstd\s*::\s*\w*(?:mutex|semaphore|condition_variable\w*|latch|barrier)\b
    | \b(?:lock_guard|unique_lock|scoped_lock|shared_lock)\b
    | \bos_unfair_lock\w* | \bOSAllocatedUnfairLock\b | \bNS(?:Recursive|Condition|Distributed)?Lock\b | \bNSCondition\b
    | \bDispatch(?:Queue|Group|Semaphore|WorkItem)\b | \bdispatch_\w+ | \bimport\s+Dispatch\b
    | \bNIOConcurrencyHelpers\b | \bNIOLock\w*\b | \bConditionLock\b | \bLock\s*\(\s*\)
    | \bMainActor\b | @globalActor\b
    | \bSynchronization\s*\.\s*`?(?:Mutex|_MutexHandle)\b
    """,
    re.X,
)
ACTOR = re.compile(
    r"""(?:^|[;{}])[ \t]*
    (?:@\w+(?:\([^)]*\))?\s+ | (?:public|package|internal|private|fileprivate|open|final|distributed|nonisolated)\s+)*
    actor\s+`?[A-Za-z_]""",
    re.X | re.M,
)
# The whole module has a Mutex, which can be had under any name.
WHOLE_SYNCHRONIZATION = re.compile(r"\bimport\s+`?Synchronization\b`?(?!\s*\.)")
# Of its parts, only what is no lock.
PART_OF_SYNCHRONIZATION = re.compile(
    r"\bimport\s+\w+\s+`?Synchronization`?\s*\.\s*`?(?!(?:Atomic|atomicMemoryFence|WordPair)\b)\w+"
)
# What the ladder itself is made of.
BUILT_ON = re.compile(r"(?:SYS_)?futex\w*|FUTEX_\w+|pthread_once\w*")
USE_LADDER = "use a lock of LockLadder: this one does not count its contention"
OTHER_LOCK = "OTHER LOCK:"
SUFFIXES = {".swift", ".c", ".cc", ".cpp", ".cxx", ".c++", ".m", ".mm", ".S", ".s", ".h", ".hh", ".hpp", ".hxx", ".inc",
            ".inl", ".ipp", ".tpp", ".def"}


class Scanner:
    """Blanks comments, keeping line numbers, and knows what is none: a // inside a string or a regular expression. All
    else stays, so that where it is in doubt too much is looked at rather than too little."""

    SWIFT_STRING = re.compile(r'(#*)("""|")')
    SWIFT_EXPRESSION = re.compile(r"(?<![^\s(\[{,;:])/(?![\s/*)])(?:\\.|[^/\\\n])+/")
    RAW_CPP = re.compile(r'R"([^()\\\s]{0,16})\(')
    C_STRING = re.compile(r"""'(?:\\.|[^'\\\n])+'|"(?:\\.|[^"\\\n])*\"""", re.S)

    def __init__(self, text, is_swift):
        self.text, self.is_swift = text, is_swift
        self.out = []
        self.at = 0

    def run(self):
        # What is open, innermost last: a string's closing mark and its hashes, or the depth of an interpolation.
        open_strings, depths = [], []
        while self.at < len(self.text):
            if len(open_strings) > len(depths):
                self.in_string(open_strings, depths)
            else:
                self.in_code(open_strings, depths)
        return "".join(self.out)

    def keep(self, count):
        self.out.append(self.text[self.at : self.at + count])
        self.at += count

    def blank(self, end):
        self.out.append(re.sub(r"[^\n]", " ", self.text[self.at : end]))
        self.at = end

    def in_code(self, open_strings, depths):
        text, at = self.text, self.at
        if text.startswith("//", at):
            end = text.find("\n", at)
            return self.blank(len(text) if end < 0 else end)
        if text.startswith("/*", at):
            return self.blank(self.end_of_comment())
        if self.is_swift:
            if match := self.SWIFT_STRING.match(text, at):
                open_strings.append((match[2], match[1]))
                return self.keep(len(match[0]))
            if match := re.compile(r"#+/").match(text, at):
                return self.keep_through("/" + match[0][:-1], at + len(match[0]))
            if match := self.SWIFT_EXPRESSION.match(text, at):
                return self.keep(len(match[0]))
            if text[at] == "`":
                return self.keep_through("`", at + 1)
        else:
            if match := self.RAW_CPP.match(text, at):
                end = text.find(f"){match[1]}\"", at)
                return self.keep((len(text) if end < 0 else end + len(match[1]) + 2) - at)
            if match := self.C_STRING.match(text, at):
                return self.keep(len(match[0]))
        if depths:
            depths[-1] += {"(": 1, ")": -1}.get(text[at], 0)
            if depths[-1] == 0:
                depths.pop()
        self.keep(1)

    def in_string(self, open_strings, depths):
        text, at = self.text, self.at
        mark, hashes = open_strings[-1]
        if text.startswith(mark + hashes, at):
            open_strings.pop()
            return self.keep(len(mark + hashes))
        if text.startswith(f"\\{hashes}(", at):
            depths.append(1)
            return self.keep(len(hashes) + 2)
        if text[at] == "\n" and mark == '"':
            # No string after all.
            open_strings.pop()
            return self.keep(1)
        self.keep(2 + len(hashes) if text.startswith(f"\\{hashes}", at) else 1)

    def keep_through(self, mark, start):
        """To a mark on the same line; where there is none, one character."""
        end, line = self.text.find(mark, start), self.text.find("\n", start)
        self.keep(end + len(mark) - self.at if end >= 0 and (line < 0 or end < line) else 1)

    def end_of_comment(self):
        """Swift's comments nest, those of C do not."""
        depth, at = 0, self.at
        while at < len(self.text):
            if self.text.startswith("/*", at) and (self.is_swift or depth == 0):
                depth, at = depth + 1, at + 2
            elif self.text.startswith("*/", at):
                depth, at = depth - 1, at + 2
                if depth == 0:
                    return at
            else:
                at += 1
        return len(self.text)


def locks(file, text):
    """Lines with a lock that is not the ladder's: (number, message). `file` is the path below Sources."""
    code = Scanner(text, file.suffix == ".swift").run()
    lines = text.split("\n")
    is_ladder = file.parts[0] == "LockLadder"
    found = {}

    def note(match, message):
        start = match.start() + len(match[0]) - len(match[0].lstrip())
        number = code.count("\n", 0, start) + 1
        if not justified(lines, number, OTHER_LOCK):
            found.setdefault(number, message)

    for match in FOREIGN_LOCKS.finditer(code):
        if not (file.parts[0] == "CLockLadder" and BUILT_ON.fullmatch(match[0])):
            note(match, USE_LADDER)
    if file.suffix == ".swift":
        for match in ACTOR.finditer(code):
            note(match, "use a lock of LockLadder: an actor is one that does not count its contention")
        if not is_ladder:
            for match in WHOLE_SYNCHRONIZATION.finditer(code):
                note(match, "import struct Synchronization.Atomic: the whole module has a Mutex of its own")
            for match in PART_OF_SYNCHRONIZATION.finditer(code):
                note(match, USE_LADDER)
    return sorted(found.items())


def justified(lines, number, marker="SAFETY:"):
    """Whether the comment on the line itself or directly above it holds the marker, and says why."""
    reason = re.compile(r"//.*" + re.escape(marker) + r"\s*\S")
    if reason.search(lines[number - 1]):
        return True
    index = number - 2
    while index >= 0 and lines[index].lstrip().startswith("//"):
        if reason.search(lines[index]):
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


def self_test():
    """Holds the gate against what it has to refuse and what it must let pass: what it says of them that is wrong."""
    cases = [("refused", REFUSED, True), ("let pass", ACCEPTED, False)]
    for what, files, is_refused in cases:
        for name, text in files:
            if bool(locks(Path(name), text)) != is_refused:
                yield f"{name} is not {what}: {text!r}"


# Each of them is a lock, or gets at one.
REFUSED = [
    ("A/a.swift", "internal import LockLadder\ninternal import Synchronization\nlet m = Mutex(0)\n"),
    ("A/a.swift", "internal import Synchronization // atomics\n"),
    ("A/a.swift", "import Glibc; import Synchronization\ntypealias M = Mutex\n"),
    ("A/a.swift", "@_exported public import /* all */ Synchronization\n"),
    ("A/a.swift", "import\n    Synchronization\n"),
    ("A/a.swift", "internal import struct Synchronization.Mutex\n"),
    ("A/a.swift", "let m = Synchronization.Mutex(0)\n"),
    ("A/a.swift", "let lock = NSLock()\n"),
    ("A/a.swift", "let lock = NSRecursiveLock(), other = NSCondition()\n"),
    ("A/a.swift", "let lock = OSAllocatedUnfairLock()\n"),
    ("A/a.swift", "var lock = os_unfair_lock_s()\n"),
    ("A/a.swift", "internal import NIOConcurrencyHelpers\n"),
    ("A/a.swift", "let lock = Lock()\n"),
    ("A/a.swift", "let lock = NIOLockedValueBox(0)\n"),
    ("A/a.swift", "let lock = ConditionLock(value: 0)\n"),
    ("A/a.swift", "internal import Dispatch\n"),
    ("A/a.swift", "queue.sync { } as DispatchQueue\n"),
    ("A/a.swift", "DispatchGroup().wait()\n"),
    ("A/a.swift", "let s = DispatchSemaphore(value: 1)\n"),
    ("A/a.swift", "pthread_mutex_lock(&m)\n"),
    ("A/a.swift", "var m = pthread_mutex_t()\n"),
    ("A/a.swift", "pthread_rwlock_rdlock(&m)\n"),
    ("A/a.swift", "pthread_spin_lock(&m)\n"),
    ("A/a.swift", "flock(descriptor, LOCK_EX)\n"),
    ("A/a.swift", "lockf(descriptor, F_LOCK, 0)\n"),
    ("A/a.swift", "fcntl(descriptor, F_SETLKW, &range)\n"),
    ("A/a.swift", "fcntl(descriptor, F_OFD_SETLKW, &range)\n"),
    ("A/a.swift", "var range = flock()\n"),
    ("A/a.swift", 'let s = sem_open("/a", O_CREAT)\n'),
    ("A/a.swift", "sem_timedwait(s, &t)\n"),
    ("A/a.swift", "semop(id, &operation, 1)\n"),
    ("A/a.swift", "syscall(SYS_futex, word, 0, 1)\n"),
    ("A/a.swift", "actor Locked {}\n"),
    ("A/a.swift", "public final actor Locked { var value = 0 }\n"),
    ("A/a.swift", "enum Outer { private actor Locked {} }\n"),
    ("A/a.swift", "@MainActor var value = 0\n"),
    ("A/a.swift", 'let url = "http://a"; let lock = NSLock()\n'),
    ("A/a.swift", 'let text = "\\(a("b")) // "; let lock = NSLock()\n'),
    ("A/a.swift", 'let text = #"\\" // "#; let lock = NSLock()\n'),
    ("A/a.swift", 'let text = """\n    // """; let lock = NSLock()\n'),
    ("A/a.swift", "let pattern = #/a//b/*/#; let lock = NSLock()\n"),
    ("A/a.swift", 'let pattern = /"/; let text = " // "; let lock = NSLock()\n'),
    ("A/a.swift", '@_silgen_name("pthread_mutex_lock") func take()\n'),
    ("A/a.swift", "/* /* */ // */ let lock = NSLock()\n"),
    ("A/a.swift", "// OTHER LOCK:\nlet lock = NSLock()\n"),
    ("A/a.swift", "// OTHER LOCK: of the line below only\nlet a = 1\nlet lock = NSLock()\n"),
    ("LockLadder/a.swift", "let lock = NSLock()\n"),
    ("CLockLadder/a.c", "pthread_mutex_lock(&m);\n"),
    ("CA/a.c", "mtx_t m;\n"),
    ("CA/a.c", "mtx_trylock(&m);\n"),
    ("CA/a.c", "while (atomic_flag_test_and_set(&f)) {}\n"),
    ("CA/a.c", "syscall(SYS_futex, word);\n"),
    ("CA/a.c", 'char c = \'"\'; mtx_lock(&m); // "\n'),
    ("CA/a.c", 'puts("//"); mtx_lock(&m);\n'),
    ("CA/a.c", "/* /* */ mtx_lock(&m);\n"),
    ("CA/a.cpp", "std::mutex m;\n"),
    ("CA/a.cc", "std::shared_mutex m;\n"),
    ("CA/a.hpp", 'auto s = R"(\n// )"; std::lock_guard g(m);\n'),
    ("CA/include/a.h", "static pthread_mutex_t m;\n"),
]

# None of them is.
ACCEPTED = [
    ("A/a.swift", "internal import struct Synchronization.Atomic\nlet a = Atomic<Bool>(false)\n"),
    ("A/a.swift", 'internal import LockLadder\nlet m = Mutex("a.b", 0)\ntypealias M = Mutex\n'),
    ("A/a.swift", 'let lock = InstanceLock(descriptor: 1), other = RWLock("a", 0)\n'),
    ("A/a.swift", "// No NSLock here, nor import Synchronization.\n/* actor A { } /* */ DispatchQueue */\nlet a = 1\n"),
    ("A/a.swift", 'let text = "an actor plays"; let actor = 1; factor (2); let semaphore = 3\n'),
    ("A/a.swift", "/// It is a lock of flock's kind.\nlet a = 1 // sem_wait\n"),
    ("A/a.swift", "// OTHER LOCK: between processes, where no thread waits for another.\nfcntl(d, F_SETLKW, &range)\n"),
    ("A/a.swift", "var range = flock()  // OTHER LOCK: as above\n"),
    ("LockLadder/a.swift", "internal import Synchronization\nlet m = Mutex(0)\n"),
    ("CLockLadder/a.c", "syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE);\n"),
    ("CA/a.c", "/* pthread_mutex_lock */ int semantics; // mtx_lock\n"),
]


def main():
    wrong = list(self_test())
    for line in wrong:
        print(f"{Path(__file__).name}: error: {line}")
    if wrong:
        return 1
    sources = sorted(path for path in (ROOT / "Sources").rglob("*") if path.suffix in SUFFIXES)
    swift = [path for path in sources if path.suffix == ".swift"]
    findings = []
    for path in sources:
        text = path.read_text()
        lines = text.split("\n")
        code = Scanner(text, path.suffix == ".swift").run().split("\n")
        for number, line in enumerate(code, 1):
            if path.suffix == ".swift" and FOUNDATION.match(line):
                findings.append((path, number, "import FoundationEssentials instead of Foundation"))
            if TRAPPING_TEXT.search(line) and not justified(lines, number):
                findings.append((path, number, "needs a SAFETY: comment that says why it cannot go wrong"))
        findings += [(path, number, message) for number, message in locks(path.relative_to(ROOT / "Sources"), text)]
    for path, number, message in trapping(swift):
        if not justified(path.read_text().split("\n"), number):
            findings.append((path, number, f"{message}, or say in a SAFETY: comment why it cannot fail"))
    for path, number, message in sorted(findings):
        print(f"{path.relative_to(ROOT)}:{number}: error: {message}")
    return 1 if findings else 0


sys.exit(main())
