#!/usr/bin/env bash
# Measures the store beside VictoriaMetrics, Prometheus and rrdcached, one after the other, on the
# same generated samples: taking in by remote write and by the agents' protocol (rrdcached by its own
# socket, a tenth of the hosts), memory, bytes on disk after settling, reading, restart after kill -9
# under full load.
#
#   bench/store.sh [STEPS]             1,000 hosts x 100 series x STEPS (360) steps of 10 s
#   STORE_HOSTS=100 bench/store.sh 60  less
#   ONLY='noroshi agents' bench/store.sh    some of: noroshi agents archives victoria prometheus
#                                      rrdcached
#
# Then where noroshi's bytes are, after the load and, for all archives, after two days (48 times the
# steps) of a hundredth of the hosts. A peer that fails costs its row only; a load is given up after
# seven minutes. All in all a quarter of an hour at full size on an idle machine.
#
# Needs Debian and, for the first run, root: it installs the peers, curl and python3. NOROSHI and LOAD
# name programs that are built already. Listens on 127.0.0.1 only; what it starts it ends.
set -euo pipefail
cd "$(dirname "$0")/.."

export STORE_HOSTS=${STORE_HOSTS:-1000} STORE_STEPS=${1:-360}
only=${ONLY:-noroshi agents archives victoria prometheus rrdcached}
# Steps of the load under which a server is killed: more than noroshi's journal holds.
last_steps=120
export STORE_START=$((($(date +%s) / 10 - STORE_STEPS - last_steps) * 10))
folder=$(mktemp -d "${BENCH_DIR:-/var/tmp}/noroshi-bench-XXXXXX")
pid=
loader=
peer=
# Ends what a peer's part of the script has left running.
finish_peer() {
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
    [ -z "$loader" ] || kill -9 "$loader" 2>/dev/null || true
    pid= loader=
}
finish() {
    [ -z "$peer" ] || { kill -TERM "$peer" && wait "$peer"; } 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT TERM

missing=()
for package in victoria-metrics prometheus rrdcached rrdtool curl python3; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq || true
    apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null ||
        { echo "install first: apt-get install ${missing[*]}"; exit 1; }
fi
target=${CARGO_TARGET_DIR:-target}/release
[ -n "${NOROSHI:-}" ] || cargo build --quiet --release --bin noroshi
[ -n "${LOAD:-}" ] || cargo build --quiet --release --example store_load
noroshi=$(realpath "${NOROSHI:-$target/noroshi}")
load=$(realpath "${LOAD:-$target/examples/store_load}")

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# Ticks of 10 ms that a process and its threads have used.
ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }
memory() { awk '/^VmRSS/ { printf "%.0f", $2 / 1024 }' "/proc/$1/status"; }
now() { date +%s.%N; }
row() { printf '| %-24s | %9s | %9s | %12s | %7s | %14s | %9s |\n' "$@"; }
calculate() { awk "BEGIN { printf \"$1\", $2 }"; }
is_wanted() { [[ " $only " == *" $1 "* ]]; }

# start PROGRAM ARGUMENT...: in the background, as `pid`.
start() {
    "$@" >>"$folder/log" 2>&1 &
    pid=$!
    disown
}
# gone SIGNAL: ends the program and waits until it has ended, two minutes at most.
gone() {
    local tries=0
    kill "$1" "$pid"
    while kill -0 "$pid" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 2400 ] || kill -9 "$pid"
        sleep 0.05
    done
}
# wait_for URL: until it answers with success.
wait_for() {
    local tries=0
    until curl -sf -o /dev/null "$1"; do
        kill -0 "$pid" 2>/dev/null || { echo "it ended:"; tail -5 "$folder/log"; exit 1; } >&2
        tries=$((tries + 1))
        [ "$tries" -lt 6000 ] || { echo "$1 did not answer"; exit 1; } >&2
        sleep 0.02
    done
}
# bytes_of PATH...: what they take on the disk.
bytes_of() { du -sc --block-size=1 "$@" 2>/dev/null | tail -1 | cut -f1; }
# settled FOLDER: waits until its size stays for 10 s, two minutes at most, and prints its bytes.
settled() {
    local before=-1 size i
    for i in $(seq 12); do
        size=$(bytes_of "$1")
        [ "$size" != "$before" ] || break
        before=$size
        sleep 10
    done
    echo "$size"
}
# parts WHAT SAMPLES: notes where the bytes in noroshi's folder are.
parts() {
    local data=$folder/noroshi all
    part() {
        local bytes
        bytes=$(bytes_of "${@:4}")
        printf '| %-40s | %12s | %12.3f |\n' "$3" "$bytes" "$(calculate %.4f "$bytes / $2")"
    }
    all=$(bytes_of "$data")
    {
        printf '| %-40s | %12s | %12s |\n| --- | ---: | ---: |\n' "$1" bytes bytes/sample
        part "$1" "$2" 'full resolution: rings' "$data"/rings/*-10000.ring
        part "$1" "$2" 'what is not in blocks yet: checkpoint' "$data/checkpoint"
        part "$1" "$2" 'journal' "$data/journal"
        part "$1" "$2" "labels and records: catalogue's log" "$data/catalogue-log"
        part "$1" "$2" 'labels and records: sled' "$data/catalogue"
        part "$1" "$2" 'archives of 1 min, 5 min, 1 h: rings' "$data"/rings/*-60000.ring \
            "$data"/rings/*-300000.ring "$data"/rings/*-3600000.ring
        printf '| %-40s | %12s | %12.3f |\n\n' 'all' "$all" "$(calculate %.4f "$all / $2")"
    } >>"$folder/parts"
}
cat >"$folder/reads.py" <<'PYTHON'
"""Prints the median milliseconds of two queries over one connection: reads.py BASE TOKEN END."""
import http.client
import statistics
import sys
import time
import urllib.parse

base, token, end = sys.argv[1], sys.argv[2], int(sys.argv[3])
address, _, prefix = base.removeprefix("http://").partition("/")
connection = http.client.HTTPConnection(address)
headers = {"Authorization": f"Bearer {token}"} if token else {}


def median(path, **parameters):
    times = []
    for _ in range(15):
        begun = time.perf_counter()
        query = urllib.parse.urlencode(parameters)
        connection.request("GET", f"/{prefix}/{path}?{query}", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        times.append(time.perf_counter() - begun)
        if answer.status != 200 or b'"result":[]' in body:
            sys.exit(f"{path}: {answer.status} {body[:300]}")
    return 1000 * statistics.median(times)


average = median("query_range", query="avg(rate(node_thing0_total[5m]))", start=end - 3600, end=end, step=15)
raw = median("query", query='node_thing2{instance=~"host0000[0-9].*"}[1h]', time=end)
print(f"{average:.1f} / {raw:.1f}")
PYTHON

# taken_in: loads with LOADING as the loader's arguments; leaves `rates`, `bytes` and `rss` behind.
taken_in() {
    local before samples seconds cpu
    before=$(ticks "$pid")
    read -r samples seconds < <(timeout 420 "$load" "${loading[@]}" 2>>"$folder/log") ||
        { echo "the load failed:"; tail -3 "$folder/log"; exit 1; } >&2
    cpu=$(($(ticks "$pid") - before))
    rss=$(memory "$pid")
    took=$seconds
    rates=("$(calculate %.0f "$samples / $seconds")" "$(calculate %.0f "$samples * 100 / ($cpu + 0.5)")")
    bytes=$(calculate %.2f "$(settled "$1") / $samples")
}
# killed_under_load READY JOURNAL -- PROGRAM ARGUMENT...: kills the server amid a second load, once
# JOURNAL holds 26 MiB where there is one; prints the seconds from start to READY.
killed_under_load() {
    local ready=$1 journal=$2 begun tries=0 tries_max
    shift 3
    STORE_SKIP=$STORE_STEPS STORE_STEPS=$last_steps "$load" "${loading[@]}" >/dev/null 2>&1 &
    loader=$!
    disown
    tries_max=$(calculate %.0f "20 + $took * $last_steps / $STORE_STEPS * 0.6 * 20")
    until [ "$tries" -ge "$tries_max" ]; do
        if [ -n "$journal" ]; then
            [ "$(du -s --block-size=1M "$journal" | cut -f1)" -lt 26 ] || break
            kill -0 "$loader" 2>/dev/null || break
        fi
        tries=$((tries + 1))
        sleep 0.05
    done
    gone -9
    kill "$loader" 2>/dev/null || true
    loader=
    [ -z "$journal" ] || du -s --block-size=1M "$journal" | cut -f1 >"$folder/left"
    begun=$(now)
    start "$@"
    wait_for "$ready"
    restart=$(calculate %.2f "$(now) - $begun")
}
# measure NAME DATA READY JOURNAL API TOKEN -- PROGRAM ARGUMENT...
measure() {
    local name=$1 data=$2 ready=$3 journal=$4 api=$5 token=$6 reads
    shift 7
    taken_in "$data"
    [ "$name" != noroshi ] || parts "after the load ($STORE_STEPS steps)" "$((STORE_HOSTS * 100 * STORE_STEPS))"
    reads=$(python3 "$folder/reads.py" "$api" "$token" $((STORE_START + STORE_STEPS * 10 - 10)))
    killed_under_load "$ready" "$journal" -- "$@"
    row "$name" "${rates[@]}" "$bytes" "$rss" "$reads" "$restart"
    gone -TERM
    pid=
    rm -rf "$data"
}

echo "$(nproc) processors, Linux $(uname -r), load $(cut -d' ' -f1 /proc/loadavg) before; $STORE_HOSTS hosts x 100 series x $STORE_STEPS steps of 10 s; $(date +%F)"
echo
row program 'samples/s' 'per CPU s' 'bytes/sample' 'RSS MiB' 'reads ms' 'restart s'
row --- ---: ---: ---: ---: ---: ---:

# Without the watch over this machine, and without hosts that register themselves and are checked,
# only what is sent counts. The plan is for three years of archives, whose bytes this disk may not have.
printf '[local]\nwatch = false\n[agents]\nregister = false\n[store]\ndisk_max = "200 GiB"\n' >"$folder/noroshi.toml"
start_noroshi() {
    port=$(free_port)
    mkdir -p "$folder/noroshi"
    command=("$noroshi" serve --config "$folder/noroshi.toml" --data "$folder/noroshi" --listen "127.0.0.1:$port")
    start "${command[@]}"
    # It listens when the store is open.
    wait_for "http://127.0.0.1:$port/healthz"
    token=$(head -1 "$folder/noroshi/local-access")
}
by_remote_write() {
    start_noroshi
    loading=(remote-write "http://127.0.0.1:$port/prometheus/api/v1/write" "$token")
    measure noroshi "$folder/noroshi" "http://127.0.0.1:$port/healthz" "$folder/noroshi/journal" \
        "http://127.0.0.1:$port/prometheus/api/v1" "$token" -- "${command[@]}"
}
# by_agents NAME FRAMES STEPS
by_agents() {
    export STORE_STEPS=$3
    start_noroshi
    token=$("$noroshi" token create --data "$folder/noroshi" --role agent bench)
    loading=(agent "http://127.0.0.1:$port/agent/v1/frames" "$token" "$2")
    taken_in "$folder/noroshi"
    row "$1" "${rates[@]}" "$bytes" "$rss" - -
    gone -TERM
    pid=
}
# Two days at most: that far back the first archive reaches.
archives() {
    export STORE_STEPS=$((STORE_STEPS * 48 < 17200 ? STORE_STEPS * 48 : 17200))
    export STORE_HOSTS=$(((STORE_HOSTS + 99) / 100)) STORE_START=$((($(date +%s) / 10 - STORE_STEPS) * 10))
    start_noroshi
    loading=(remote-write "http://127.0.0.1:$port/prometheus/api/v1/write" "$token")
    taken_in "$folder/noroshi"
    parts "$STORE_HOSTS hosts, $STORE_STEPS steps" "$((STORE_HOSTS * 100 * STORE_STEPS))"
    gone -TERM
    pid=
}
victoria() {
    port=$(free_port)
    command=(victoria-metrics -storageDataPath="$folder/victoria" -httpListenAddr="127.0.0.1:$port" -retentionPeriod=12)
    start "${command[@]}"
    wait_for "http://127.0.0.1:$port/health"
    loading=(remote-write "http://127.0.0.1:$port/api/v1/write")
    measure victoria-metrics "$folder/victoria" "http://127.0.0.1:$port/api/v1/query?query=up" '' \
        "http://127.0.0.1:$port/api/v1" '' -- "${command[@]}"
}
prometheus() {
    port=$(free_port)
    echo 'global: {}' >"$folder/prometheus.yml"
    command=(/usr/bin/prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/prometheus"
        --web.listen-address="127.0.0.1:$port" --web.enable-remote-write-receiver)
    start "${command[@]}"
    wait_for "http://127.0.0.1:$port/-/ready"
    loading=(remote-write "http://127.0.0.1:$port/api/v1/write")
    measure prometheus "$folder/prometheus" "http://127.0.0.1:$port/-/ready" '' \
        "http://127.0.0.1:$port/api/v1" '' -- "${command[@]}"
}
# One file a series: a tenth of the hosts. What is in memory at the end is written in two minutes or
# lost: it is not measured.
rrdcached() {
    export STORE_HOSTS=$(((STORE_HOSTS + 9) / 10))
    mkdir "$folder/rrd" "$folder/rrd-journal"
    start /usr/bin/rrdcached -g -l "unix:$folder/rrd.sock" -b "$folder/rrd" -B -j "$folder/rrd-journal" -w 3600 -z 1 -f 7200 -p "$folder/rrd.pid"
    until [ -S "$folder/rrd.sock" ]; do
        kill -0 "$pid" 2>/dev/null || { echo "rrdcached ended:"; tail -3 "$folder/log"; exit 1; } >&2
        sleep 0.05
    done
    loading=(rrdcached "$folder/rrd.sock" "$folder/rrd")
    taken_in "$folder/rrd"
    row 'rrdcached (1/10 hosts)' "${rates[@]}" "$bytes" "$rss" - -
    gone -TERM
    pid=
}
# measured NAME FUNCTION ARGUMENT...: in a shell of its own, so that what fails ends alone.
measured() {
    local name=$1
    shift
    (
        trap finish_peer EXIT
        trap 'exit 143' TERM
        "$@"
    ) &
    peer=$!
    # Beside `||` the shell would not end at the first command that fails.
    wait "$peer" || row "$name" failed - - - - -
    peer=
    rm -rf "$folder"/{noroshi,victoria,prometheus,rrd,rrd-journal}
}

! is_wanted noroshi || measured noroshi by_remote_write
! is_wanted agents || measured 'noroshi, agents (1/10)' by_agents 'noroshi, agents (1/10)' 1 $(((STORE_STEPS + 9) / 10))
! is_wanted agents || measured "noroshi, agents' spools" by_agents "noroshi, agents' spools" 36 "$STORE_STEPS"
! is_wanted victoria || measured victoria-metrics victoria
! is_wanted prometheus || measured prometheus prometheus
! is_wanted rrdcached || measured 'rrdcached (1/10 hosts)' rrdcached
! is_wanted archives || measured archives archives
echo
[ ! -s "$folder/left" ] || printf "Journal at noroshi's kill: %s MiB.\n\n" "$(cat "$folder/left")"
[ ! -s "$folder/parts" ] || cat "$folder/parts"
