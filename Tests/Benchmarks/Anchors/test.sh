#!/bin/sh
# Runs every subject of the programs that build.sh put into OUTDIR, briefly, and checks what they print: test.sh OUTDIR.
set -eu
[ $# -eq 1 ] || { echo "usage: $0 OUTDIR" >&2; exit 64; }
exec python3 "$(dirname "$0")/test.py" "$1"
