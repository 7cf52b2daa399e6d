#!/usr/bin/env bash
# Makes a virtual environment with the stock Python implementation in target/peers/python.
# Says nothing unless something goes wrong.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=$root/target/peers/python

fail() {
    echo "peers/python: $*" >&2
    exit 1
}

# Installs a Debian package, or says which one is missing.
need() {
    local package=$1 why=$2
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        { apt-get install -y -qq "$package" || { apt-get update -qq && apt-get install -y -qq "$package"; }; } \
            >/dev/null 2>&1 || fail "could not install the package $package ($why)"
    else
        fail "$why: install the package $package, for example with: sudo apt-get install $package"
    fi
}

# Without it the stock side changes the count of free bytes in two steps, and loses updates.
has_libatomic() {
    { ldconfig -p 2>/dev/null || /sbin/ldconfig -p; } | grep -q 'libatomic\.so\.1'
}

command -v python3 >/dev/null || need python3 "python3 is missing"
python3 -c 'import ensurepip, venv' 2>/dev/null || need python3-venv "python3 cannot make virtual environments"
has_libatomic || need libatomic1 "libatomic.so.1 is missing"

rm -rf "$venv"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ python3 -m venv "$venv" &&
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"; } >"$log" 2>&1 || {
    cat "$log" >&2
    rm -rf "$venv"
    fail "could not install $(cat "$here/requirements.txt"); is PyPI within reach?"
}
