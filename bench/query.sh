#!/usr/bin/env bash
# Measures queries over HTTP beside Prometheus and VictoriaMetrics on this machine: the same
# samples go into all three by remote write, the same requests are asked of all three in turn.
#
#   bench/query.sh [RUNS]      requests of each kind a server, 15 when nothing is said
#
# 1,000 counters and 1,000 gauges over one hour at 10 s. Printed are the median time to the end of
# the answer as the client sees it, and the server's CPU a request: on a busy machine only the
# second says something. Answers are compared: ours must be Prometheus'.
#
# Needs Debian and, for the first run, root: it installs prometheus, victoria-metrics and python3.
# NOROSHI names a program that is built already. Nothing listens but on 127.0.0.1; what it starts it
# ends.
set -euo pipefail
cd "$(dirname "$0")/.."

runs=${1:-15}
missing=()
for package in prometheus victoria-metrics python3; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq || true
    RUNLEVEL=1 apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null ||
        { echo "install first: apt-get install ${missing[*]}"; exit 1; }
fi
if [ -z "${NOROSHI:-}" ]; then
    cargo build --quiet --release --bin noroshi
    NOROSHI=$(realpath "${CARGO_TARGET_DIR:-target}/release/noroshi")
fi

folder=$(mktemp -d)
started=()
finish() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$folder"
}
trap finish EXIT
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

printf '[local]\nwatch = false\n' >"$folder/noroshi.toml"
(cd "$folder" && exec "$NOROSHI" serve --listen 127.0.0.1:0 >welcome 2>noroshi.log) &
ours=$!
started+=("$ours")
until grep -qs "^ *config" "$folder/welcome" && [ -s "$folder/noroshi-data/local-access" ]; do
    kill -0 "$ours" || { cat "$folder/noroshi.log"; exit 1; }
    sleep 0.1
done
address=$(sed -n 's|^ *open *http://\([^/]*\).*|\1|p' "$folder/welcome")
token=$(head -n 1 "$folder/noroshi-data/local-access")

echo 'global: {scrape_interval: 1h}' >"$folder/prometheus.yml"
prometheus_port=$(free_port)
prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/prometheus" \
    --web.listen-address="127.0.0.1:$prometheus_port" --web.enable-remote-write-receiver \
    >"$folder/prometheus.log" 2>&1 &
prometheus=$!
started+=("$prometheus")
victoria_port=$(free_port)
victoria-metrics -storageDataPath="$folder/victoria" -retentionPeriod=1y \
    -httpListenAddr="127.0.0.1:$victoria_port" >"$folder/victoria.log" 2>&1 &
victoria=$!
started+=("$victoria")

cat >"$folder/measure.py" <<'PYTHON'
"""Loads three servers with the same samples, asks them the same, and prints a table."""
import http.client
import json
import math
import os
import random
import statistics
import struct
import sys
import time
import urllib.parse

STEP = 10  # seconds
SAMPLES = 361
# Answers are compared once windows of five minutes are full. Before, Prometheus 2.42 stretches the
# rate of a counter near zero otherwise than 3 does; tests/promql_compare.rs has both formulas.
WINDOW = 300
HOSTS = [f"host{n:03}" for n in range(100)]
CODES = ["200", "201", "204", "301", "302", "400", "404", "500", "502", "503"]


class Server:
    def __init__(self, name, address, prefix, pid, token=None):
        self.name, self.address, self.pid = name, address, int(pid)
        self.prefix = prefix.rstrip("/")
        self.headers = {"authorization": f"Bearer {token}"} if token else {}
        self.connection = None

    def send(self, method, path, body=None, headers=None):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.address, timeout=60)
        self.connection.request(method, path, body, {**self.headers, **(headers or {})})
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status // 100 != 2:
            raise SystemExit(f"{self.name}: {path}: {answer.status} {body[:300]}")
        return body

    def wait(self, path):
        for _ in range(300):
            try:
                return self.send("GET", path)
            except OSError:
                self.connection = None
                time.sleep(0.1)
        raise SystemExit(f"{self.name} does not answer")

    def cpu(self):
        """Seconds that the process has used."""
        fields = open(f"/proc/{self.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(tag, data):
    return varint(tag << 3 | 2) + varint(len(data)) + data


def snappy(data):
    """Snappy's block format without compression: literals of at most 64 KiB."""
    out = [varint(len(data))]
    for at in range(0, len(data), 65536):
        piece = data[at:at + 65536]
        out += [b"\xf4", struct.pack("<H", len(piece) - 1), piece]
    return b"".join(out)


def write_request(all_series):
    """`prompb.WriteRequest` of remote write 1.0."""
    out = []
    for labels, samples in all_series:
        pairs = (field(1, n.encode()) + field(2, v.encode()) for n, v in sorted(labels.items()))
        body = [field(1, pair) for pair in pairs]
        for at, value in samples:
            body.append(field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at)))
        out.append(field(1, b"".join(body)))
    return snappy(b"".join(out))


def all_series(start):
    chance = random.Random(4)
    moments = [(start + i * STEP) * 1000 for i in range(SAMPLES)]
    for host in HOSTS:
        for code in CODES:
            value, pace, counter = float(chance.randrange(10**6)), chance.randrange(1, 200), []
            for at in moments:
                value += chance.randrange(pace * 1000)  # no two alike: ties of topk have no order
                counter.append((at, value))
            yield {"__name__": "requests_total", "instance": host, "code": code}, counter
        for disk in range(10):
            free, gauge = chance.uniform(1e10, 1e12), []
            for at in moments:
                free -= chance.uniform(-4e6, 1e7)
                gauge.append((at, round(free / 4096) * 4096.0))
            yield {"__name__": "free_bytes", "instance": host, "disk": f"sd{disk}"}, gauge


def instant(expr, end):
    return "/api/v1/query?" + urllib.parse.urlencode({"query": expr, "time": end, "nocache": 1})


def over(expr, end):
    arguments = {"query": expr, "start": end - 3600, "end": end, "step": 15, "nocache": 1}
    return "/api/v1/query_range?" + urllib.parse.urlencode(arguments)


def numbers(answer, since):
    """The values of an answer from a moment on, label set by label set."""
    found = {}
    for series in json.loads(answer)["data"]["result"]:
        points = series.get("values") or [series["value"]]
        labels = {n: v for n, v in series["metric"].items() if n != "__name__"}
        kept = [float(value) for at, value in points if at > since]
        if kept:
            found[json.dumps(labels, sort_keys=True)] = kept
    return found


def is_same(ours, theirs):
    """Tells whether two answers, label set by label set, are equal within float error."""
    return ours.keys() == theirs.keys() and all(
        len(values) == len(theirs[labels])
        and all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(values, theirs[labels]))
        for labels, values in ours.items()
    )


def measure(server, path, runs):
    """Returns the answer, the median time and the CPU of one request, in milliseconds."""
    for _ in range(2):
        answer = server.send("GET", server.prefix + path)
    times, cpu = [], server.cpu()
    for _ in range(runs):
        began = time.perf_counter()
        server.send("GET", server.prefix + path)
        times.append(time.perf_counter() - began)
    return answer, statistics.median(times) * 1e3, (server.cpu() - cpu) / runs * 1e3


def main():
    runs, servers = int(sys.argv[1]), [Server(*line.split()) for line in sys.argv[2:]]
    # No moment of a query falls on a sample: ranges of Prometheus 2 include their left end.
    end = (int(time.time()) - 60) // STEP * STEP
    start = end - 3 - (SAMPLES - 1) * STEP
    series = list(all_series(start))
    for server in servers:
        server.wait(server.prefix + "/api/v1/query?query=1")
        for at in range(0, len(series), 100):
            headers = {
                "content-type": "application/x-protobuf",
                "content-encoding": "snappy",
                "x-prometheus-remote-write-version": "0.1.0",
            }
            body = write_request(series[at:at + 100])
            server.send("POST", server.prefix + "/api/v1/write", body, headers)
        if server.name == "VictoriaMetrics":
            server.send("GET", "/internal/force_flush")
    ratio = ('sum by (instance) (rate(requests_total{code=~"5.."}[5m]))'
             " / on (instance) sum by (instance) (rate(requests_total[5m]))")
    questions = [
        ("avg(rate(x[5m])), 1,000 series x 1 h, step 15 s", over("avg(rate(requests_total[5m]))", end)),
        ("10 series x 1 h, raw samples", instant('requests_total{instance="host042"}[1h]', end)),
        ("10 series x 1 h, step 15 s", over('requests_total{instance="host042"}', end)),
        ("rate by instance, 1,000 series x 1 h", over("sum by (instance) (rate(requests_total[5m]))", end)),
        ("topk(10, rate(x[5m])), now", instant("topk(10, rate(requests_total[5m]))", end)),
        ("topk(10, rate(x[5m])) x 1 h", over("topk(10, rate(requests_total[5m]))", end)),
        ("ratio with matching, now", instant(ratio, end)),
        ("ratio with matching x 1 h", over(ratio, end)),
        ("predict_linear(x[1h], 4 h), 1,000 series, now",
         instant("predict_linear(free_bytes[1h], 4 * 3600)", end)),
        ("quantile(0.9, x), 1,000 series x 1 h", over("quantile(0.9, free_bytes)", end)),
    ]
    print("| median ms (CPU ms) | " + " | ".join(server.name for server in servers) + " |")
    print("|---|" + "---|" * len(servers))
    different = []
    for name, path in questions:
        cells, answers = [], []
        for server in servers:
            answer, took, cpu = measure(server, path, runs)
            cells.append(f"{took:.1f} ({cpu:.1f})")
            answers.append(numbers(answer, start + WINDOW))
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
        if not answers[0] or not is_same(answers[0], answers[1]):
            different.append(name)
    print()
    print("answers as Prometheus': " + ("all" if not different else f"not {different}"))
    sys.exit(bool(different))


main()
PYTHON

echo "$(nproc) processors, Linux $(uname -r), load $(cut -d ' ' -f 1 /proc/loadavg), $runs runs"
echo
python3 "$folder/measure.py" "$runs" \
    "noroshi $address /prometheus $ours $token" \
    "Prometheus 127.0.0.1:$prometheus_port / $prometheus" \
    "VictoriaMetrics 127.0.0.1:$victoria_port / $victoria"
