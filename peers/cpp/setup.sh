#!/bin/sh
# Builds the step server, one end of the benchmark and one of the stress test into target/peers/cpp of
# the repository, installing what is missing where it may. Prints only what goes wrong.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out="$here/../../target/peers/cpp"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

has_json() {
    [ -f /usr/include/nlohmann/json.hpp ] ||
        echo '#include <nlohmann/json.hpp>' | g++ -E -x c++ - >"$log" 2>&1
}

missing=
command -v g++ >"$log" || missing="$missing g++"
command -v make >"$log" || missing="$missing make"
has_json || missing="$missing nlohmann-json3-dev"

if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >"$log"; then
        echo "peers/cpp: missing packages:$missing" >&2
        echo "peers/cpp: install them, on Debian or Ubuntu with: sudo apt-get install$missing" >&2
        exit 1
    fi
    install() {
        # shellcheck disable=SC2086  # a list of packages
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
    }
    if ! install >"$log" 2>&1 && ! { apt-get update -q && install; } >"$log" 2>&1; then
        cat "$log" >&2
        echo "peers/cpp: apt-get could not install:$missing" >&2
        exit 1
    fi
fi

if ! make -s -C "$here" -j "$(nproc)" OUT="$out" server benchmark stress >"$log" 2>&1; then
    cat "$log" >&2
    echo "peers/cpp: the build failed" >&2
    exit 1
fi
