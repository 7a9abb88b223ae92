#!/usr/bin/env bash
# Sets up all that the harness needs, then runs it. What is there already is skipped.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$here/.venv
log=$here/.bootstrap.log

# names that Debian 12 and later and Ubuntu have alike; libc6-dev, libelf and libssl are for the
# kernel's host tools, cpio and fdisk for tests that compare what they read with what we wrote
packages=(
    bc bison ca-certificates cpio debian-archive-keyring e2fsprogs fdisk flex gcc gcc-s390x-linux-gnu git
    libc6-dev libelf-dev libssl-dev make patch python3 python3-venv util-linux xz-utils
)
# Debian 12 has it within qemu-system-misc, which apt takes for it
qemu=qemu-system-s390x
# left out where apt does not have them
useful=(ccache gdb-multiarch python3-libkdumpfile)

usage() {
    cat <<EOF
usage: ./bootstrap.sh COMMAND [--debian-mirror URI]

  demo    set up, then crash a system (with Debian's kernel), dump it, verify the dump; says where
          the evidence is
  test    set up, then run all checks and tests with tox (lint, types, unit, e2e)
  setup   only set up: system packages, and a virtual environment in .venv

The kernel source and s390x packages come from the Debian mirror that apt uses. Where apt uses none
(on Ubuntu, for example), name one, such as http://HOST/debian, or set ZHARNESS_DEBIAN_MIRROR.
EOF
}

say() { printf 'bootstrap: %s\n' "$*" >&2; }
fail() { say "$@"; exit 3; }

quietly() {
    "$@" >>"$log" 2>&1 || { tail -n 15 "$log" >&2; fail "'$*' failed; all of its output is in $log"; }
}

is_installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
is_known() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }

# those whose absence keeps the harness from working
missing_packages() {
    local name
    for name in "${packages[@]}"; do
        is_installed "$name" || echo "$name"
    done
    command -v "$qemu" >/dev/null || echo "$qemu"
}

# those that apt has and that are not there yet
missing_useful() {
    local name
    for name in "${useful[@]}"; do
        is_installed "$name" || ! is_known "$name" || echo "$name"
    done
}

install_packages() {
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        say "this host has no apt, so nothing is installed; the harness needs apt itself, and the like"
        say "of these: ${packages[*]} $qemu"
        say "docs/hosts.md says how to run it in a container instead"
        return
    fi
    local wanted
    mapfile -t wanted < <(missing_packages)
    ((${#wanted[@]})) || return 0
    local as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null ||
            fail "as root, run: apt-get update && apt-get install --no-install-recommends ${wanted[*]}"
        as_root=(sudo)
    fi
    export DEBIAN_FRONTEND=noninteractive
    quietly "${as_root[@]}" apt-get update
    mapfile -t wanted < <(missing_packages; missing_useful) # of the lists that are there now
    say "install ${wanted[*]}"
    quietly "${as_root[@]}" apt-get install -y --no-install-recommends "${wanted[@]}"
}

# the first Python that is new enough and can make virtual environments; python3 is the user's choice
find_python() {
    local candidate
    for candidate in python3 python3.{30..11} /usr/bin/python3; do
        if "$candidate" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "no Python 3.11 or newer with the module venv was found"
}

# install_harness [dev]: with dev also what the tests need
install_harness() {
    local extra=${1:-} stamp python
    for stamp in "$venv/installed${extra:+-$extra}" "$venv/installed-dev"; do
        if [[ $stamp -nt $here/pyproject.toml ]]; then
            return
        fi
    done
    python=$(find_python)
    say "install the harness into .venv with $("$python" --version)"
    [[ -x $venv/bin/python ]] || quietly "$python" -m venv "$venv"
    # to compile all modules takes longer than to compile those that one run needs
    local compile=()
    [[ -n $extra ]] || compile=(--no-compile)
    quietly "$venv/bin/python" -m pip install --disable-pip-version-check "${compile[@]}" \
        -e "$here${extra:+[$extra]}"
    touch "$venv/installed${extra:+-$extra}"
}

set_up() {
    : >"$log"
    install_packages
    install_harness "$@"
}

main() {
    case ${2:-} in
    '') ;;
    --debian-mirror) export ZHARNESS_DEBIAN_MIRROR=${3:?--debian-mirror needs a URI} ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    case ${1:-} in
    demo)
        set_up
        say "to have zharness on the PATH afterwards: source $venv/bin/activate"
        # the kernel that only crashes is not compiled
        exec "$venv/bin/zharness" run panic --kernel debian
        ;;
    test)
        set_up dev
        cd "$here"
        exec "$venv/bin/tox" run
        ;;
    setup)
        set_up dev
        say "to have zharness on the PATH: source $venv/bin/activate"
        ;;
    help | -h | --help) usage ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
}

main "$@"
