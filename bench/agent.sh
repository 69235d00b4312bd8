#!/usr/bin/env bash
# Measures noroshi-agent beside Prometheus' node_exporter and collectd on this machine: resident
# memory, CPU per reading, size of the program, number of series; and lists the metric names that
# node_exporter has by default and noroshi-agent has not.
#
#   bench/agent.sh [READINGS]      one reading a second each, 60 when nothing is said
#
# Needs Debian and, for the first run, root: it installs prometheus-node-exporter, collectd-core,
# curl and python3 (which stands in for the server). AGENT names a program that is built already.
# Nothing listens but on 127.0.0.1; what it starts it ends.
set -euo pipefail
cd "$(dirname "$0")/.."

readings=${1:-60}
folder=$(mktemp -d)
started=()
finish() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap finish EXIT

missing=()
for package in prometheus-node-exporter collectd-core curl python3; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq || true
    apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null ||
        { echo "install first: apt-get install ${missing[*]}"; exit 1; }
fi

[ -n "${AGENT:-}" ] || cargo build --quiet --profile agent --package noroshi-agent
agent=$(realpath "${AGENT:-${CARGO_TARGET_DIR:-target}/agent/noroshi-agent}")

# Takes each body and answers as a server does.
cat >"$folder/server.py" <<'PYTHON'
import http.server

class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers["content-length"])
        self.rfile.read(length)
        with open("bodies", "a") as bodies:
            bodies.write(f"{length}\n")
        answer = b'{"accepted":0,"too_old":0,"in_future":0,"over_budget":0}'
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
print(server.server_address[1], flush=True)
server.serve_forever()
PYTHON
(cd "$folder" && exec python3 server.py >port 2>server.log) &
started+=($!)
until [ -s "$folder/port" ]; do sleep 0.1; done

# Ticks of 10 ms that a process and its threads, ended ones too, have used.
ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }
memory_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }
row() { printf '%-16s %10s %14s %14s %10s\n' "$@"; }
milliseconds() { awk -v t="$1" -v n="$2" 'BEGIN { printf "%.2f", t * 10 / n }'; }
size_of() { awk -v b="$(stat -Lc %s "$1")" 'BEGIN { printf "%.2f", b / 1e6 }'; }

# measure PID: waits for the readings and sets `cpu` and `rss`.
measure() {
    local before
    sleep 3
    before=$(ticks "$1")
    "${@:2}"
    cpu=$(milliseconds $(($(ticks "$1") - before)) "$readings")
    rss=$(awk -v k="$(memory_kib "$1")" 'BEGIN { printf "%.1f", k / 1024 }')
}

echo "$(nproc) processors, Linux $(uname -r), $readings readings, one a second"
echo
row program 'RSS MiB' 'CPU ms/reading' 'program MB' series

# noroshi-agent reads, packs and sends.
echo token >"$folder/token"
"$agent" --server "http://127.0.0.1:$(cat "$folder/port")" --token-file "$folder/token" \
    --spool "$folder/spool" --step 1s 2>"$folder/agent.log" &
pid=$!
started+=("$pid")
measure "$pid" sleep "$readings"
kill "$pid"
"$agent" --once >"$folder/ours"
row noroshi-agent "$rss" "$cpu" "$(size_of "$agent")" "$(grep -vc '^#' "$folder/ours")"

# node_exporter reads when it is asked.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
prometheus-node-exporter --web.listen-address="127.0.0.1:$port" 2>"$folder/exporter.log" &
pid=$!
started+=("$pid")
ask() {
    for _ in $(seq "$readings"); do
        curl -s "http://127.0.0.1:$port/metrics" >"$folder/theirs"
        sleep 1
    done
}
measure "$pid" ask
kill "$pid"
row node_exporter "$rss" "$cpu" "$(size_of "$(command -v prometheus-node-exporter)")" \
    "$(grep -vc '^#' "$folder/theirs")"

# collectd reads and sends to nobody, with the plug-ins of the same subjects.
{
    echo "BaseDir \"$folder\""
    echo "PIDFile \"$folder/collectd.pid\""
    echo 'Interval 1'
    for plugin in cpu load memory swap vmem disk df interface contextswitch uptime entropy \
        protocols conntrack unixsock; do
        echo "LoadPlugin $plugin"
    done
    echo "<Plugin unixsock>
        SocketFile \"$folder/socket\"
    </Plugin>"
} >"$folder/collectd.conf"
collectd -f -C "$folder/collectd.conf" >"$folder/collectd.log" 2>&1 &
pid=$!
started+=("$pid")
measure "$pid" sleep "$readings"
series=$(python3 - "$folder/socket" <<'PYTHON'
import socket, sys
collectd = socket.socket(socket.AF_UNIX)
collectd.connect(sys.argv[1])
collectd.sendall(b"LISTVAL\n")
print(collectd.makefile().readline().split()[0])
PYTHON
)
kill "$pid"
row collectd "$rss" "$cpu" "$(size_of "$(command -v collectd)")" "$series"

echo
echo "bytes of a body: $(sort -n "$folder/bodies" | awk '{ a[NR] = $1 } END { print "median " a[int((NR + 1) / 2)] ", largest " a[NR] }')"
echo
names() { grep -o '^[a-zA-Z_][a-zA-Z0-9_]*' "$1" | grep -vE '^(go|process|promhttp)_' | sort -u; }
names "$folder/ours" >"$folder/our-names"
names "$folder/theirs" >"$folder/their-names"
echo "names of node_exporter $(prometheus-node-exporter --version 2>&1 | awk 'NR == 1 { print $3 }') that noroshi-agent lacks:"
comm -13 "$folder/our-names" "$folder/their-names" | sed 's/^/  /'
echo "names of noroshi-agent that this node_exporter lacks:"
comm -23 "$folder/our-names" "$folder/their-names" | sed 's/^/  /'
