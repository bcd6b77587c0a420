#!/bin/sh
# Installs the named Debian packages that are not there yet. Asks for nothing when nothing is missing.
set -eu

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This is not Debian or a relative of it. Please make sure that the equivalents of these are installed:" >&2
    echo "    $*" >&2
    exit 0
fi

missing=""
for package in "$@"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "Missing packages, and neither root nor sudo to install them. As root, run:" >&2
    echo "    apt-get install$missing" >&2
    exit 1
fi

# A server that is installed for the tests must not come up as a service of this machine.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '$as_root rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
fi

echo "Installing:$missing"
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update </dev/null
# shellcheck disable=SC2086 # one word per package
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $missing </dev/null

case " $missing " in
*" nginx"*)
    if [ -d /run/systemd/system ]; then $as_root systemctl disable --quiet nginx.service || true; fi
    ;;
esac
