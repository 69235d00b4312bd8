#!/usr/bin/env bash
# Measures the store beside VictoriaMetrics, Prometheus and rrdcached, one after the other, on the
# same generated samples: taking in by remote write (rrdcached by its own socket, a tenth of the
# hosts), memory, bytes on disk after settling, restart after kill -9.
#
#   bench/store.sh                                 1,000 hosts x 100 series x 360 steps of 10 s
#   STORE_HOSTS=100 STORE_STEPS=60 bench/store.sh  less
#
# Needs Debian and, for the first run, root: it installs the peers, curl and python3. NOROSHI and LOAD
# name programs that are built already. Listens on 127.0.0.1 only; what it starts it ends.
set -euo pipefail
cd "$(dirname "$0")/.."

export STORE_HOSTS=${STORE_HOSTS:-1000} STORE_STEPS=${STORE_STEPS:-360}
folder=$(mktemp -d "${BENCH_DIR:-/var/tmp}/noroshi-bench-XXXXXX")
pid=
finish() {
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT

missing=()
for package in victoria-metrics prometheus rrdcached rrdtool curl python3; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
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
row() { printf '| %-16s | %11s | %11s | %13s | %8s | %9s |\n' "$@"; }

# start PROGRAM ARGUMENT...: in the background, as `pid`.
start() {
    "$@" >>"$folder/log" 2>&1 &
    pid=$!
    disown
}
# gone SIGNAL: ends the program and waits until it has ended.
gone() {
    kill "$1" "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}
# wait_for URL: until it answers with success.
wait_for() {
    local tries=0
    until curl -sf -o /dev/null "$1"; do
        kill -0 "$pid" 2>/dev/null || { echo "it ended:"; tail -5 "$folder/log"; exit 1; }
        tries=$((tries + 1))
        [ "$tries" -lt 6000 ] || { echo "$1 did not answer"; exit 1; }
        sleep 0.02
    done
}
# settled FOLDER: waits until its size stays for 5 s, a minute at most, and prints its bytes.
settled() {
    local before=-1 size i
    for i in $(seq 12); do
        size=$(du -s --block-size=1 "$1" | cut -f1)
        [ "$size" != "$before" ] || break
        before=$size
        sleep 5
    done
    echo "$size"
}
# measure NAME DATA READY -- PROGRAM ARGUMENT... with LOADING as the loader's arguments.
measure() {
    local name=$1 data=$2 ready=$3 before cpu rss samples seconds bytes begun restart
    shift 4
    before=$(ticks "$pid")
    read -r samples seconds < <("$load" "${loading[@]}")
    cpu=$(($(ticks "$pid") - before))
    rss=$(memory "$pid")
    bytes=$(settled "$data")
    if [ -n "$ready" ]; then
        gone -9
        begun=$(now)
        start "$@"
        wait_for "$ready"
        restart=$(awk -v a="$begun" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }')
    fi
    row "$name" "$(awk -v n="$samples" -v s="$seconds" 'BEGIN { printf "%.0f", n / s }')" \
        "$(awk -v n="$samples" -v t="$cpu" 'BEGIN { printf "%.0f", n * 100 / (t > 0 ? t : 1) }')" \
        "$(awk -v b="$bytes" -v n="$samples" 'BEGIN { printf "%.2f", b / n }')" "$rss" "${restart:--}"
    gone -TERM
    pid=
}

echo "$(nproc) processors, Linux $(uname -r), load $(cut -d' ' -f1 /proc/loadavg) before; $STORE_HOSTS hosts x 100 series x $STORE_STEPS steps of 10 s; $(date +%F)"
echo
row program 'samples/s' 'per CPU s' 'bytes/sample' 'RSS MiB' 'restart s'
row --- ---: ---: ---: ---: ---:

port=$(free_port)
mkdir "$folder/noroshi"
# Without the watch over this machine only what is sent counts. The plan is for three years of
# archives, whose bytes this disk may not have.
printf '[local]\nwatch = false\n[store]\ndisk_max = "200 GiB"\n' >"$folder/noroshi.toml"
command=("$noroshi" serve --config "$folder/noroshi.toml" --data "$folder/noroshi" --listen "127.0.0.1:$port")
start "${command[@]}"
wait_for "http://127.0.0.1:$port/healthz"
token=$(head -1 "$folder/noroshi/local-access")
loading=(remote-write "http://127.0.0.1:$port/prometheus/api/v1/write" "$token")
# It listens when the store is open.
measure noroshi "$folder/noroshi" "http://127.0.0.1:$port/healthz" -- "${command[@]}"

port=$(free_port)
command=(victoria-metrics -storageDataPath="$folder/victoria" -httpListenAddr="127.0.0.1:$port" -retentionPeriod=12)
start "${command[@]}"
wait_for "http://127.0.0.1:$port/health"
loading=(remote-write "http://127.0.0.1:$port/api/v1/write")
measure victoria-metrics "$folder/victoria" "http://127.0.0.1:$port/api/v1/query?query=up" -- "${command[@]}"

port=$(free_port)
echo 'global: {}' >"$folder/prometheus.yml"
command=(prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/prometheus"
    --web.listen-address="127.0.0.1:$port" --web.enable-remote-write-receiver)
start "${command[@]}"
wait_for "http://127.0.0.1:$port/-/ready"
loading=(remote-write "http://127.0.0.1:$port/api/v1/write")
measure prometheus "$folder/prometheus" "http://127.0.0.1:$port/-/ready" -- "${command[@]}"

# One file a series: a tenth of the hosts.
STORE_HOSTS=$(((STORE_HOSTS + 9) / 10))
mkdir "$folder/rrd" "$folder/rrd-journal"
start rrdcached -g -l "unix:$folder/rrd.sock" -b "$folder/rrd" -B -j "$folder/rrd-journal" -w 3600 -z 0 -p "$folder/rrd.pid"
until [ -S "$folder/rrd.sock" ]; do sleep 0.05; done
loading=(rrdcached "$folder/rrd.sock" "$folder/rrd")
measure 'rrdcached (1/10)' "$folder/rrd" '' --
