#!/usr/bin/env bash
# Every test of the crate; arguments go to cargo.
#
# Tests with live peers run in real time, several programs at once. Where such a test fails, it runs a second time,
# alone: a machine that stalled is told from a fault (docs/decisions/0031-a-second-run-alone.md). What passed only
# then is named at the end. Tests on the virtual clock, of texts and of properties have no second run.
set -uo pipefail
cd "$(dirname "$0")/.."

# Without a peer and a clock of their own; `-` is the library's own tests and those of its documentation.
once=" - architecture dialplan_mutants dialplans error_registry interop_table ivr_prompts signaling_messages sip_corpus "
# More than this is no stall.
most=6

log=target/test.log
mkdir -p target
cargo test --no-fail-fast "$@" 2>&1 | tee "$log" && exit 0

# A line "target test" for each that failed; the second list of a target's failures is that of the names.
failed=$(awk '
    /^ +Running unittests / || /^ +Doc-tests / { target = "-"; count = 0 }
    /^ +Running tests\// { target = $2; sub(/^tests\//, "", target); sub(/\.rs$/, "", target); count = 0 }
    /^failures:$/ { count = 0; listing = 1; next }
    listing && /^    [A-Za-z0-9_:]+$/ { names[count++] = $1 }
    /^test result: FAILED/ { for (i = 0; i < count; i++) print target, names[i]; count = 0 }
    /^test result: / { listing = 0 }
' "$log")
# Cargo counts the targets: one that died has no list of names.
counted=$(sed -n 's/^error: \([0-9]*\) targets\{0,1\} failed:$/\1/p' "$log" | tail -1)
listed=$(cut -d' ' -f1 <<<"$failed" | sort -u | grep -c .)
number=$(grep -c . <<<"$failed")
if [ -z "$counted" ] || [ "$counted" -ne "$listed" ] || [ "$number" -gt "$most" ]; then
    echo "test: failed; no second run, for it did not build, a test's program died, or more than $most failed" >&2
    exit 1
fi

again=()
while read -r target name; do
    case "$once" in *" $target "*)
        echo "test: failed: $name ($target), which has no second run" >&2
        exit 1
        ;;
    esac
    again+=("$target $name")
done <<<"$failed"

lost=()
for pair in "${again[@]}"; do
    read -r target name <<<"$pair"
    echo "test: a second run, alone: $name (tests/$target.rs)" >&2
    cargo test --test "$target" -- --exact "$name" --test-threads=1 || lost+=("$name (tests/$target.rs)")
done
if [ "${#lost[@]}" -gt 0 ]; then
    printf 'test: failed twice: %s\n' "${lost[@]}" >&2
    exit 1
fi
printf 'test: passed at the second run only, alone: %s\n' "${again[@]}" >&2
