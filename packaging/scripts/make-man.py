#!/usr/bin/env python3
"""Makes a manual page from what a program says of itself.

make-man.py PROGRAM SECTION TAIL TARGET: PROGRAM is run with --version and --experimental-dump-help; TAIL is a file with
what the program cannot know (files, examples, other pages), in man(7) macros, put at the end as it is.

Equal programs give equal pages: the date is that of SOURCE_DATE_EPOCH, else that of the commit, else there is none.
"""

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def escaped(text):
    """Text for the running lines of a page. A hyphen is written so that it can be copied into a shell."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = text.replace('"', "\\(dq").replace("~", "\\(ti").replace("^", "\\(ha").replace("…", "...")
    if not text.isascii():
        sys.exit(f"make-man.py: not plain ASCII: {text!r}")
    lines = []
    for line in text.split("\n"):
        lines += textwrap.wrap(line, 79, break_long_words=False, break_on_hyphens=False) or [""]
    return "\n".join("\\&" + line if line.startswith(".") else line for line in lines)


def sentences(text):
    """Each sentence on a line of its own, as manual pages have it."""
    return re.sub(r"(?<=[a-z0-9)'][.:?!]) +(?=[A-Z])", "\n", " ".join(text.split()))


def paragraphs(text):
    """The lines of a text whose paragraphs are set apart by empty lines."""
    lines = []
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        if number:
            lines.append(".PP")
        lines += escaped(sentences(paragraph)).split("\n")
    return lines


def spelled(name):
    return ("-" if name["kind"] == "short" else "--") + name["name"]


def own_arguments(command, shared):
    """What is shown of a command's arguments, without those that all commands take."""
    return [a for a in command.get("arguments", []) if a.get("shouldDisplay", True) and label(a) not in shared]


def label(argument):
    names = argument.get("names")
    return spelled(argument["preferredName"]) if names else argument["valueName"]


def synopsis(argument):
    value = f"\\fI{escaped(argument['valueName'])}\\fR"
    if argument["kind"] == "positional":
        text = value
    else:
        text = f"\\fB{escaped(spelled(argument['preferredName']))}\\fR"
        if argument["kind"] == "option":
            text += "\\ " + value
    return f"[{text}]" if argument.get("isOptional", True) else text


def description(argument):
    if argument["kind"] == "positional":
        head = f"\\fI{escaped(argument['valueName'])}\\fR"
    else:
        names = sorted(argument["names"], key=lambda name: name["kind"] != "short")
        head = ", ".join(f"\\fB{escaped(spelled(name))}\\fR" for name in names)
        if argument["kind"] == "option":
            head += f" \\fI{escaped(argument['valueName'])}\\fR"
    lines = [".TP", head]
    lines += escaped(sentences(argument.get("abstract", ""))).split("\n")
    default = argument.get("defaultValue")
    if default is not None and "default" not in argument.get("abstract", "").lower():
        lines.append(f"Default: {escaped(default)}.")
    return lines


def day():
    """The date for the page's foot."""
    stamp = os.environ.get("SOURCE_DATE_EPOCH")
    if not stamp:
        root = Path(__file__).resolve().parents[2]
        git = subprocess.run(["git", "-C", str(root), "log", "-1", "--format=%ct"], capture_output=True, text=True)
        stamp = git.stdout.strip() if git.returncode == 0 else ""
    return time.strftime("%Y-%m-%d", time.gmtime(int(stamp))) if stamp else ""


def page(program, section, tail):
    name = Path(program).name
    version = output(program, "--version").split()[-1]
    command = json.loads(output(program, "--experimental-dump-help"))["command"]
    abstract = command["abstract"].rstrip(".")
    lines = [
        '.\\" Made by packaging/scripts/make-man.py from what the program says of itself.',
        f'.TH {name.upper()} {section} "{day()}" "config\\-agent {version}"',
        ".SH NAME",
        f"{escaped(name)} \\- {escaped(abstract[0].lower() + abstract[1:])}",
        ".SH SYNOPSIS",
    ]
    shown = [a for a in command["arguments"] if a.get("shouldDisplay", True)]
    subcommands = [c for c in command.get("subcommands", []) if c["commandName"] != "help"]
    shared = {label(argument) for argument in shown}
    for subcommand in subcommands:
        words = [f"\\fB{escaped(name)}\\fR", "[\\fIoptions\\fR]", f"\\fB{escaped(subcommand['commandName'])}\\fR"]
        words += [synopsis(argument) for argument in own_arguments(subcommand, shared)]
        lines += [" ".join(words), ".br"]
    if subcommands:
        lines.pop()
    else:
        lines.append(f"\\fB{escaped(name)}\\fR")
        lines += [synopsis(argument) for argument in own_arguments(command, {"--version", "--help"})]
    lines.append(".SH DESCRIPTION")
    lines += paragraphs(command.get("discussion") or command["abstract"])
    lines.append(".SH OPTIONS")
    if subcommands:
        lines.append("These may stand before or after the name of a command.")
    for argument in shown:
        lines += description(argument)
    if subcommands:
        lines.append(".SH COMMANDS")
        for subcommand in subcommands:
            lines.append(f".SS {escaped(subcommand['commandName'])}")
            lines += paragraphs(subcommand["abstract"])
            if subcommand.get("discussion"):
                lines += [".PP"] + paragraphs(subcommand["discussion"])
            for argument in own_arguments(subcommand, shared):
                lines += description(argument)
    return "\n".join(lines) + "\n" + Path(tail).read_text()


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    program, section, tail, target = sys.argv[1:]
    text = page(str(Path(program).resolve()), section, tail)
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    Path(target).write_text(text)


main()
