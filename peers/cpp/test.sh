#!/bin/sh
# Builds and runs the tests: as the server is built, then with the address and undefined-behaviour
# sanitizers. Arguments choose tests by parts of their names; `--sanitized` leaves out the former, and
# `--build-sanitized` only builds what the sanitizers are for.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out="$here/../../target/peers/cpp"
"$here/setup.sh"

build() {
    make -s -C "$here" -j "$(nproc)" OUT="$1" FLAGS="$2" server stress tests
}

run() {
    build "$1" "$2"
    "$1/zerobuffer-tests" $chosen
    [ -z "$chosen" ] || return 0
    python3 "$here/tests/serve_test.py" "$1/zerobuffer-serve-cpp"
    python3 "$here/tests/scenarios_test.py" "$1/zerobuffer-serve-cpp"
}

# With the sanitizers g++ 12 takes something in its own <regex> for uninitialized.
sanitized="-O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined \
    -fno-sanitize-recover=all -Wno-maybe-uninitialized"
if [ "$*" = --build-sanitized ]; then
    build "$out/sanitized" "$sanitized"
    exit
fi
chosen="$*"
if [ "$*" = --sanitized ]; then
    chosen=
else
    run "$out" "-O2"
fi
# Freed memory that the sanitizer keeps would be taken for growth of the server's.
export ASAN_OPTIONS=quarantine_size_mb=1
run "$out/sanitized" "$sanitized"
