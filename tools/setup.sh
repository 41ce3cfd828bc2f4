#!/usr/bin/env bash
# Installs what this machine lacks, from the distribution's packages and nothing else.
#
#   tools/setup.sh build    what `make demo` needs: a C compiler, pkg-config, cmake, libopus
#   tools/setup.sh test     that, and the programs that the tests talk to
#
# Says what is missing and exits with 2 where there is no apt or no right to use it.
set -euo pipefail

# program:package
build_needs="cc:gcc pkg-config:pkg-config cmake:cmake make:make"
test_needs="node:nodejs npm:npm baresip:baresip-core sipp:sip-tester linphonec:linphone-cli multimon-ng:multimon-ng turnserver:coturn kamailio:kamailio dumpcap:wireshark-common tshark:tshark promtool:prometheus espeak-ng:espeak-ng opusdec:opus-tools valgrind:valgrind pebble:pebble"
# web/test/chromium.mjs looks for the same names.
chromium_names="chromium chromium-browser google-chrome-stable google-chrome"

what=${1:-build}

has() { command -v "$1" >/dev/null 2>&1; }

chromium() {
    if [ -n "${CROSSPOINT_CHROMIUM:-}" ]; then
        has "$CROSSPOINT_CHROMIUM" && return 0
        echo "setup: CROSSPOINT_CHROMIUM is $CROSSPOINT_CHROMIUM, and no program is there" >&2
        exit 2
    fi
    local name
    for name in $chromium_names; do has "$name" && return 0; done
    return 1
}

firefox() { has "${CROSSPOINT_FIREFOX:-firefox-esr}"; }

# Debian keeps the server's programs off PATH.
postgres() {
    has initdb && has pg_ctl && return 0
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

kamailio_tls() { compgen -G '/usr/lib/*/kamailio/modules/tls.so' >/dev/null; }

# Fills `missing` with the packages of what is not there.
look() {
    local pair
    missing=()
    for pair in $build_needs; do
        has "${pair%%:*}" || missing+=("${pair##*:}")
    done
    pkg-config --exists opus 2>/dev/null || missing+=(libopus-dev)
    if [ "$what" = test ]; then
        for pair in $test_needs; do
            has "${pair%%:*}" || missing+=("${pair##*:}")
        done
        postgres || missing+=(postgresql)
        kamailio_tls || missing+=(kamailio-tls-modules)
        python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
        perl -MNet::SIP -e 1 2>/dev/null || missing+=(libnet-sip-perl)
        chromium || missing+=(chromium)
        firefox || missing+=(firefox-esr)
    fi
}

# What comes from PyPI and not from the distribution, each in a place of its own: what
# tests/NAME/requirements.txt names, in target/NAME.
from_pypi() {
    [ "$what" = test ] || return 0
    local root name venv wanted
    root=$(cd "$(dirname "$0")/.." && pwd)
    for name in schemathesis otlp; do
        venv=$root/target/$name
        wanted=$root/tests/$name/requirements.txt
        cmp -s "$wanted" "$venv/installed" && continue
        echo "setup: installing what tests/$name/requirements.txt names into target/$name"
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
        cp "$wanted" "$venv/installed"
    done
}

case $what in
build | test) ;;
*)
    echo "usage: tools/setup.sh build|test" >&2
    exit 2
    ;;
esac

if ! has cargo; then
    echo "setup: Rust is missing. Install it with rustup (https://rustup.rs), then run this again." >&2
    exit 2
fi
look
if [ ${#missing[@]} -eq 0 ]; then
    from_pypi
    exit 0
fi

if ! has apt-get; then
    echo "setup: missing here: ${missing[*]} (names of Debian's packages)" >&2
    echo "setup: there is no apt-get; install their equivalents with your package manager, then run this again." >&2
    exit 2
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=()
elif has sudo; then
    as_root=(sudo)
else
    echo "setup: missing here: ${missing[*]}. Only root can install them, and there is no sudo." >&2
    echo "setup: as root run: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 2
fi

echo "setup: installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null

look
if [ ${#missing[@]} -ne 0 ]; then
    echo "setup: still missing after the installation: ${missing[*]}" >&2
    if [[ " ${missing[*]} " == *" chromium "* ]]; then
        echo "setup: on Ubuntu the package chromium is a snap that does not run everywhere: install any" >&2
        echo "setup: Chromium or Chrome and set CROSSPOINT_CHROMIUM to it." >&2
    fi
    exit 2
fi
from_pypi
