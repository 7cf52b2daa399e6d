#!/usr/bin/env bash
# Builds what is needed, silently when nothing changed, and runs the interop runner.
#
#   ./test.sh rust_cpp 13.1      client in Rust, server in C++, scenario 13.1
#   ./test.sh --help             everything else (./test.sh run --help: its options)
set -euo pipefail

root=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
target=$(realpath -m -- "${CARGO_TARGET_DIR:-$root/target}")
bin=$target/release

# Names, sizes and times of everything that the build reads. Comparing them with those of the last
# build costs a few milliseconds, a `cargo build` that finds nothing to do a good part of the 0.3 s
# that a start may take.
inputs() {
    local paths=(src Cargo.toml Cargo.lock)
    local path
    for path in build.rs templates .cargo rust-toolchain rust-toolchain.toml; do
        [[ -e $root/$path ]] && paths+=("$path")
    done
    (cd -- "$root" && find "${paths[@]}" -printf '%p %s %T@\n')
    printf '%s\n' "${RUSTFLAGS:-}" "${RUSTUP_TOOLCHAIN:-}"
}

# Builds into folder $1 with the arguments behind it, if anything has changed there.
build() {
    local folder=$1 stamp=$1/release/.test-sh-inputs now output
    shift
    now=$(inputs)
    if [[ -x $folder/release/zerobuffer-serve && -e $stamp && $(<"$stamp") == "$now" ]]; then
        return
    fi
    if ! command -v cargo >/dev/null; then
        echo "test.sh: cargo is not in PATH; install Rust from https://rustup.rs" >&2
        exit 3
    fi
    # Not being heard is no reason to stop.
    echo "building …" >&2 || true
    if ! output=$(cargo build --release --manifest-path "$root/Cargo.toml" --target-dir "$folder" "$@" 2>&1); then
        printf '%s\n' "$output" "test.sh: the build failed" >&2
        exit 3
    fi
    printf '%s\n' "$now" >"$stamp.$$"
    mv -- "$stamp.$$" "$stamp"
}

# Options of all commands may stand before the command.
command=run
words=("$@")
for ((at = 0; at < $#; at += 1)); do
    argument=${words[at]}
    case $argument in
        -v | --verbose | -q | --quiet | --config=*) continue ;;
        --config) at=$((at + 1)); continue ;;
        # Help for `run` alone would name no other command.
        --help | -h) [[ $# == 1 ]] && command= ;;
        run | list | check | doctor | mutate | report | merge) command= ;;
        inspect | clean | completions | help | --version | -V) command= ;;
    esac
    break
done

build "$target" --bins
if [[ -z $command && ${argument:-} == mutate ]]; then
    build "$target/faulty" --bin zerobuffer-serve --features faults
fi

export HARMONY_BIN_DIR=$bin HARMONY_FAULTY_DIR=$target/faulty/release
export HARMONY_CONFIG=${HARMONY_CONFIG:-$root/harmony.toml}
export HARMONY_INVOKED_AS=$0

exec "$bin/harmony" ${command:+"$command"} "$@"
