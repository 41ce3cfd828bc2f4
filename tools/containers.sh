#!/usr/bin/env bash
# Proves docker-compose.yml: builds, starts everything, waits until all of it is healthy, makes real calls, looks
# where their records went, stops by SIGTERM while a call is up, starts again, and takes all of it away.
#
#   tools/containers.sh                      the network `bridge`, as `docker compose up` has it
#   tools/containers.sh --network host       the other one
#   tools/containers.sh --without grafana    leaves a service out; it is named at the end as NOT checked
#   tools/containers.sh --no-build           the image `crosspoint` is there
#   tools/containers.sh --keep               leaves it running, for a look
#
# Needs Docker, Compose (`docker compose`, or `docker-compose` from 1.29), curl, and the ports of docker-compose.yml.
# The call of a page in Chromium, by TURN, is made where node, web/node_modules and a Chromium are.
# Its containers and volumes are of a project of their own: those of `docker compose up` stay as they are.
# Exit status: 0 all is well, 1 something is not, 2 it cannot be tried here.
set -uo pipefail
cd "$(dirname "$0")/.."

network=bridge
build=yes
keep=
without=" "
while [ $# -gt 0 ]; do
    case $1 in
    --network) network=${2:-} && shift ;;
    --without) without="$without${2:-} " && shift ;;
    --no-build) build= ;;
    --keep) keep=yes ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit 2 ;;
    esac
    shift
done

unusable() { printf 'containers: %s\n' "$@" >&2 && exit 2; }

case $network in bridge) host= ;; host) host=-host ;; *) unusable "--network is bridge or host, not \"$network\"" ;; esac
for part in $without; do
    case $part in
    coturn | prometheus | grafana) ;;
    *) unusable "--without takes coturn, prometheus or grafana, not \"$part\": the rest cannot do without it" ;;
    esac
done
command -v curl >/dev/null || unusable "curl is not installed"
command -v docker >/dev/null || unusable "docker is not installed: https://docs.docker.com/engine/install (Debian: apt-get install docker.io)"
docker info >/dev/null 2>&1 || unusable "no Docker engine answers:" "$(docker info 2>&1 | tail -n 1)"
if docker compose version >/dev/null 2>&1; then
    program=(docker compose)
elif command -v docker-compose >/dev/null; then
    program=(docker-compose)
else
    unusable "neither \`docker compose\` nor \`docker-compose\` is installed: https://docs.docker.com/compose/install"
fi
project=crosspoint-check
export COMPOSE_PROFILES=$network
compose() { "${program[@]}" --project-name "$project" "$@"; }
inside() { compose exec -T "$@"; }

work=$(mktemp -d)
missed=()
SECONDS=0
say() { printf 'containers: [%3d s] %s\n' "$SECONDS" "$*"; }
good() { say "ok    $*"; }
finish() {
    trap - EXIT
    if [ -z "$keep" ]; then
        say "taking it away"
        compose down --volumes --timeout 5 >"$work/down" 2>&1 || { cat "$work/down" >&2 && exit 1; }
    else
        say "left running; away with it: ${program[*]} --project-name $project down --volumes"
    fi
    rm -rf "$work"
    exit "$1"
}
wrong() {
    say "FAIL  $*" >&2
    compose ps --all >"$work/ps" 2>&1 && cut -c1-160 "$work/ps" >&2
    for part in "${parts[@]}"; do
        echo "--- $part's last lines:" >&2
        docker logs --tail 15 "$(container "$part")" 2>&1 | cut -c1-300 >&2
    done
    finish 1
}
# within SECONDS WHAT COMMAND...: until the command says yes.
within() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >"$work/last" 2>&1; do
        [ "$SECONDS" -lt "$end" ] || wrong "$what: $(tail -n 3 "$work/last")"
        sleep 1
    done
    good "$what"
}

has() { case $without in *" $1 "*) return 1 ;; esac; }
gateway=gateway$host
parts=(postgres "$gateway")
for part in coturn prometheus grafana; do
    if has "$part"; then parts+=("$part$host"); else missed+=("$part: left out"); fi
done
container() { compose ps --all --quiet "$1"; }
state() { docker inspect --format "$2" "$(container "$1")"; }
healthy() { [ "$(state "$1" '{{.State.Health.Status}}')" = healthy ]; }

say "${program[*]} $("${program[@]}" version --short), engine $(docker version --format '{{.Server.Version}}'), network $network"
trap 'finish 1' EXIT
compose down --volumes --timeout 5 >/dev/null 2>&1
if [ -n "$build" ]; then
    say "building the image (the first time takes many minutes)"
    compose build secrets || wrong "the image is not built"
fi
docker image inspect crosspoint >/dev/null 2>&1 || wrong "there is no image \"crosspoint\""
good "the image \"crosspoint\", $(($(docker image inspect --format '{{.Size}}' crosspoint) / 1000000)) MB"

say "starting ${parts[*]}"
compose up -d --no-build "${parts[@]}" >"$work/up" 2>&1 || wrong "it does not start: $(tail -n 5 "$work/up")"
for part in "${parts[@]}"; do within 120 "$part is healthy" healthy "$part"; done

# Who it runs as, and what it may.
base=http://localhost:8080
status() { inside "$gateway" grep "^$1:" /proc/1/status | tr -s '[:space:]' ' '; }
case $(status Uid) in "Uid: 10001 10001 "*) good "runs as 10001, not as root" ;; *) wrong "runs as $(status Uid)" ;; esac
case $(status CapEff) in "CapEff: 0000000000000000 "*) good "has no capability" ;; *) wrong "has $(status CapEff)" ;; esac
inside "$gateway" touch /usr/local/bin/x >/dev/null 2>&1 && wrong "its own files can be written"
inside "$gateway" test -w /var/lib/crosspoint || wrong "/var/lib/crosspoint cannot be written"
good "writes to its volume and to nothing else"

# What answers whom.
code() { curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}' "$@"; }
answers() {
    local got
    got=$(code "${@:3}")
    [ "$got" = "$1" ] || wrong "$2: $got, not $1"
    good "$2: $got"
}
key=$(inside "$gateway" cat operator.key) || wrong "there is no operator.key"
answers 200 "/healthz" "$base/healthz"
answers 200 "/readyz" "$base/readyz"
answers 200 "/admin" "$base/admin"
login=(--header "Origin: $base" --header "Content-Type: application/json")
answers 201 "the operator logs in" "${login[@]}" --data "{\"key\":\"$key\"}" "$base/v1/session"
answers 401 "a wrong key logs nobody in" "${login[@]}" --data '{"key":"wrong"}' "$base/v1/session"
answers 200 "the API with the key" --header "Authorization: Bearer $key" "$base/v1/calls"
if [ "$network" = bridge ]; then answers 401 "the API without one" "$base/v1/calls"; fi
config=(--config /etc/crosspoint/crosspoint.toml)
token=$(inside "$gateway" crosspoint token create --user alice "${config[@]}") || wrong "no token: $token"
good "a token for alice"

# A call: what is said to the echo is heard again.
cat >"$work/echo.yaml" <<'SCENARIO'
version: 1
name: the echo
target: "610"
via: browser
prompts: .
steps:
  - name: it says what it hears
    say: menu.wav
    expect: { prompt: { file: menu.wav, within: 10s } }
  - hangup: true
SCENARIO
cat >"$work/line.yaml" <<'SCENARIO'
version: 1
name: a line that is held
target: "610"
via: browser
steps:
  - { name: some seconds, wait: 8s }
  - hangup: true
SCENARIO
inside "$gateway" bash -c 'cat >/tmp/echo.yaml' <"$work/echo.yaml" &&
    inside "$gateway" bash -c 'cat >/tmp/line.yaml' <"$work/line.yaml" &&
    inside "$gateway" bash -c 'cat >/tmp/menu.wav' <src/carrier/prompts/menu.wav ||
    wrong "nothing can be put into /tmp of the gateway"
call() { inside "$gateway" crosspoint ivr run "/tmp/$1.yaml" "${config[@]}"; }
calls=0
say "calling 610, the echo"
for try in 1 2 3; do
    # A machine that is busy (building, say) tears the sound; such a call has its record, too.
    calls=$((calls + 1))
    call echo >"$work/call" 2>&1 && break
    [ "$try" -lt 3 ] && grep -q FAILED "$work/call" || wrong "the call: $(cat "$work/call")"
    say "again: $(grep -m 1 'step' "$work/call")"
done
good "a call inside: 610 says what it hears"

# A page's, from outside, by TURN only.
if [ ! -d web/node_modules/playwright-core ] || ! command -v node >/dev/null; then
    missed+=("a page's call: no node, or no web/node_modules (npm ci --prefix web)")
elif ! has coturn; then
    missed+=("a page's call by TURN: no coturn")
else
    steps='{"do":"dial","to":"610"},{"do":"active"},{"do":"connected"},{"do":"hear","hz":1000},{"do":"stats"},{"do":"hangup"},{"do":"ended"}'
    # 1000 Hz, ten seconds, 8000 samples a second: eight samples a period.
    tone='\x00\x00\x41\x1c\xf5\x27\x41\x1c\x00\x00\xbf\xe3\x0b\xd8\xbf\xe3'
    {
        printf 'RIFF\x24\x71\x02\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x00\x71\x02\x00'
        for _ in $(seq 10000); do printf "$tone"; done
    } >"$work/tone.wav"
    timeout 120 node web/test/drive.mjs "{\"browser\":\"chromium\",\"base\":\"$base\",\"token\":\"$token\",\"microphone\":\"$work/tone.wav\",\"options\":[\"relay\"],\"steps\":[$steps]}" \
        >"$work/page" 2>"$work/page.log"
    grep -q '^{"ok":true' "$work/page" || wrong "a page's call: $(tail -n 5 "$work/page.log") $(cat "$work/page")"
    grep -q '"candidatePair":{"local":"relay"' "$work/page" || wrong "a page's call did not go by TURN: $(cat "$work/page")"
    calls=$((calls + 1))
    good "a page's call from outside, by TURN: 610 says the tone of its microphone"
fi

# Where the records went.
sql() { inside postgres psql --username crosspoint --dbname crosspoint --tuples-only --no-align --command "$1"; }
recorded() {
    local got
    got=$(sql "select count(*) from cdrs where from_user = 'alice' and cause = 'hangup' and record like '%\"610\"%' and answered_at_ms is not null")
    [ "$got" = "$calls" ] || { echo "$got records, not $calls" && false; }
}
within 20 "PostgreSQL has the records of $calls calls" recorded

if has coturn; then
    turn() { inside "coturn$host" /bin/sh -c "turnutils_uclient -y -n 2 -u check -W \"$1\" \"$2\""; }
    # Its own address is the peer of the test, and loopback is none.
    address=$(inside "coturn$host" hostname -I | tr ' ' '\n' | grep -m 1 '^[0-9.]*$')
    turn '$(cat /secrets/turn.key)' "${address:-127.0.0.1}" >"$work/turn" 2>&1 || wrong "TURN: $(tail -n 3 "$work/turn")"
    turn wrong "${address:-127.0.0.1}" >"$work/turn" 2>&1 && wrong "TURN takes a wrong secret"
    good "TURN relays with the gateway's secret, and with no other"
fi

if has prometheus; then
    ask() { curl --silent --fail --max-time 5 --get --data-urlencode "query=$1" http://localhost:9090/api/v1/query; }
    scraped() { ask 'up{job="crosspoint"}' | grep '"1"\]'; }
    counted() { ask "sum(crosspoint_calls_total) >= $calls" | grep '"value"'; }
    within 45 "Prometheus has the gateway's metrics" scraped
    within 45 "Prometheus has counted the calls" counted
    rules=$(curl --silent --fail http://localhost:9090/api/v1/rules | grep -o '"type":"alerting"' | wc -l)
    [ "$rules" = "$(grep -c -- '- alert:' deploy/alerts.yml)" ] || wrong "Prometheus has $rules rules"
    good "Prometheus has the $rules rules"
fi

if has grafana; then
    dashboard() { curl --silent --fail --max-time 5 'http://localhost:3000/api/search?type=dash-db' | grep '"uid":'; }
    within 45 "Grafana has the dashboard" dashboard
fi

# SIGTERM while a call is up: it goes on to its own end, and the gateway ends with 0.
call line >"$work/call" 2>&1 &
caller=$!
up() { curl --silent --fail --max-time 5 --header "Authorization: Bearer $key" "$base/v1/calls" | grep '"state":"connected"'; }
within 20 "a call is up" up
compose stop "$gateway" >"$work/stop" 2>&1 || wrong "it does not stop: $(cat "$work/stop")"
wait "$caller"
ended=$(state "$gateway" '{{.State.ExitCode}}')
[ "$ended" = 0 ] || wrong "stopped with $ended, not 0"
docker logs "$(container "$gateway")" 2>&1 | grep 'draining calls=1' >/dev/null || wrong "the log does not say that it drained"
calls=$((calls + 1))
good "SIGTERM: it drained, exit status 0"

compose up -d --no-build "${parts[@]}" >"$work/up" 2>&1 || wrong "it does not start again: $(tail -n 5 "$work/up")"
within 60 "$gateway is healthy again" healthy "$gateway"
within 20 "PostgreSQL has the records of $calls calls, and the last went on to its own end" recorded
[ "$(inside "$gateway" cat operator.key)" = "$key" ] || wrong "it has another operator.key"
found=$(curl --silent --fail --header "Authorization: Bearer $key" "$base/v1/cdrs" | grep -o '"id":"call_' | wc -l)
[ "$found" = "$calls" ] || wrong "/v1/cdrs has $found records, not $calls"
good "after the restart: the same key, /v1/cdrs has $found records"

for part in "${missed[@]}"; do say "NOT checked: $part"; done
good "all that was tried works"
finish 0
