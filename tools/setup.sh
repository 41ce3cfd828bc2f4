#!/usr/bin/env bash
# Installs what this machine lacks, from the distribution's packages and nothing else.
#
#   tools/setup.sh build    what `make demo` needs: a C compiler, pkg-config, libopus
#   tools/setup.sh test     that, and the peers that the tests talk to
#
# Says what is missing and stops where there is no apt or no right to use it.
set -euo pipefail

# command-or-file : package
build_needs="cc:gcc pkg-config:pkg-config cmake:cmake make:make"
test_needs="node:nodejs npm:npm baresip:baresip-core sipp:sip-tester sox:sox"

missing=()
need() {
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("${pair##*:}")
    done
}

chromium() {
    local candidate
    for candidate in "${CROSSPOINT_CHROMIUM:-}" chromium chromium-browser google-chrome-stable google-chrome; do
        [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 && return 0
    done
    return 1
}

what=${1:-build}
# shellcheck disable=SC2086
need $build_needs
pkg-config --exists opus 2>/dev/null || missing+=(libopus-dev)
if [ "$what" = test ]; then
    # shellcheck disable=SC2086
    need $test_needs
    chromium || missing+=(chromium)
fi

if ! command -v cargo >/dev/null 2>&1; then
    echo "setup: Rust is missing. Install it with rustup (https://rustup.rs), then run this again." >&2
    exit 2
fi
if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi

if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: these are missing and there is no apt-get here to install them: ${missing[*]}" >&2
    echo "setup: install their equivalents with your package manager, then run this again." >&2
    exit 2
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=()
elif command -v sudo >/dev/null 2>&1; then
    as_root=(sudo)
else
    echo "setup: these are missing and only root can install them: ${missing[*]}" >&2
    echo "setup: as root run: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 2
fi

echo "setup: installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null

if [ "$what" = test ] && ! chromium; then
    echo "setup: no Chromium could be found after the installation. On Ubuntu its package is a snap" >&2
    echo "setup: that does not run everywhere: install any Chromium or Chrome and set CROSSPOINT_CHROMIUM to it." >&2
    exit 2
fi
