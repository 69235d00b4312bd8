"""The measuring part of `bench/config.sh`, which says what it is for.

    config.py PROGRAM FOLDER HOSTS

FOLDER is used for the sites, the data and the logs; the caller removes it.
"""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

# The checks of every host: name, our keys, Nagios' command. Six connect to a local nginx, so that
# 1,667 checks a second leave the processor to what is measured here.
CHECKS = [
    *((f"tcp{n}", 'tcp = "PORT"', "check_tcp") for n in range(6)),
    ("http", 'http = "http://$HOSTADDRESS$:PORT/"\ntext = "works"', "check_http!works"),
    (
        "disk",
        'expr = "vector(0.5)"\nwarning = "> 0.8 until 0.75"\ncritical = "> 0.9"',
        "check_disk!20%!10%",
    ),
    ("dummy", 'command = ["check_dummy", "0", "fine"]', "check_dummy!fine"),
    ("backup", 'passive = "26h"', "check_backup"),
]
# The first runs are spread over the interval, a minute: what is measured of lateness, and the
# reloads, begin when the site has been running for so long.
SETTLE_SECONDS = 65
# What a reload takes of the processor is read so long after it began, when nothing else runs.
QUIET_SECONDS = 9
PATIENCE_SECONDS = 120
# Of so many hosts one has seven checks that fail: 497 problems on 10,000 hosts.
HOSTS_A_BAD_ONE = 140


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Sites:
    """Writes the same site in three ways."""

    def __init__(self, folder, hosts, port, checks=CHECKS):
        self.folder, self.hosts, self.port, self.checks = folder, hosts, port, checks
        self.closed = free_port()

    @staticmethod
    def head(name):
        return f'[host.h{name:05}]\nuse = "linux"\naddress = "127.0.0.1"\n\n'

    def tables(self, hosts=None, note=""):
        """A table for every check. `note` goes to one host in the middle."""
        port, closed = str(self.port), str(self.closed)
        good = [(name, keys.replace("PORT", port)) for name, keys, _ in self.checks]
        bad = [(name, keys.replace("PORT", closed)) for name, keys, _ in self.checks]
        parts = [COMMON]
        for i in range(hosts or self.hosts):
            parts.append(self.head(i))
            if note and i == self.hosts // 2:
                parts[-1] = parts[-1].rstrip() + f'\nnotes = "{note}"\n\n'
            for name, keys in bad if i < self.hosts // HOSTS_A_BAD_ONE else good:
                parts.append(f'[host.h{i:05}.check.{name}]\nuse = "usual"\n{keys}\n\n')
        return "".join(parts)

    def groups(self, hosts=None, note=""):
        """Ten checks for a group of all hosts. `note` goes to one host in the middle."""
        parts = [COMMON]
        for name, keys, _ in self.checks:
            keys = keys.replace("PORT", str(self.port))
            parts.append(f'[check.{name}]\nuse = "usual"\ngroups = ["linux"]\n{keys}\n\n')
        for i in range(hosts or self.hosts):
            parts.append(self.head(i))
            if note and i == self.hosts // 2:
                parts[-1] = parts[-1].rstrip() + f'\nnotes = "{note}"\n\n'
        return "".join(parts)

    def nagios(self):
        """A service object for every check; returns the main file."""
        folder = self.folder / "nagios"
        (folder / "results").mkdir(parents=True)
        parts = [NAGIOS_COMMON]
        for _, _, command in CHECKS:
            name = command.split("!")[0]
            line = "/usr/lib/nagios/plugins/check_dummy 0 $ARG1$ $ARG2$"
            if f"command_name {name}\n" not in "".join(parts):
                parts.append(f"define command {{\ncommand_name {name}\ncommand_line {line}\n}}\n")
        for i in range(self.hosts):
            parts.append(f"define host {{\nuse linux\nhost_name h{i:05}\naddress 127.0.0.1\n}}\n")
            for name, _, command in CHECKS:
                parts.append(
                    f"define service {{\nuse usual\nhost_name h{i:05}\n"
                    f"service_description {name}\ncheck_command {command}\n}}\n"
                )
        (folder / "objects.cfg").write_text("".join(parts))
        main = folder / "nagios.cfg"
        main.write_text(NAGIOS_MAIN.replace("FOLDER", str(folder)))
        return main


COMMON = """[local]
watch = false

[template.host.linux]
groups = ["linux"]
labels = { site = "hel" }

[template.check.usual]
interval = "1m"

"""
NAGIOS_COMMON = """define timeperiod {
timeperiod_name always
alias always
monday 00:00-24:00
}
define contact {
contact_name ops
host_notification_period always
service_notification_period always
host_notification_commands check_tcp
service_notification_commands check_tcp
}
define host {
name linux
register 0
max_check_attempts 3
check_period always
notification_period always
contacts ops
}
define service {
name usual
register 0
check_interval 1
retry_interval 1
max_check_attempts 3
check_period always
notification_period always
contacts ops
}
"""
# Checks are not run, so that starting is all that Nagios does.
NAGIOS_MAIN = """cfg_file=FOLDER/objects.cfg
log_file=FOLDER/log
check_result_path=FOLDER/results
object_cache_file=FOLDER/cache
status_file=FOLDER/status
state_retention_file=FOLDER/retention
temp_file=FOLDER/temp
temp_path=FOLDER
lock_file=FOLDER/lock
command_file=FOLDER/cmd
query_socket=FOLDER/query
nagios_user=root
nagios_group=root
execute_service_checks=0
execute_host_checks=0
enable_notifications=0
use_large_installation_tweaks=1
use_syslog=0
event_broker_options=0
"""


def cpu_seconds(pid):
    """User and system time of a process, without its children (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(argv):
    """Runs a program to its end: seconds, seconds of processor, MiB."""
    begun = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{argv}: {said.decode()[-2000:]}")
    return time.monotonic() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


class Server:
    """The program under test."""

    def __init__(self, program, folder, config):
        self.config = config
        data = folder / "data"
        self.out = open(folder / "noroshi.log", "w")
        begun = time.monotonic()
        self.process = subprocess.Popen(
            [program, "serve", "--config", config, "--data", data, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=self.out,
            text=True,
        )
        try:
            for line in self.process.stdout:
                if found := re.search(r"http://([0-9.:]+)", line):
                    self.at = found[1]
                    break
            while not (data / "local-access").exists():
                time.sleep(0.005)
            self.token = (data / "local-access").read_text().splitlines()[0]
            while self.ask("/readyz")[0] != 200:
                time.sleep(0.005)
        except BaseException:
            self.stop()
            raise
        self.start = (time.monotonic() - begun, cpu_seconds(self.process.pid))

    def ask(self, path):
        connection = http.client.HTTPConnection(self.at, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def metrics(self):
        page = self.ask("/metrics")[1].decode()
        return dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))

    def loaded(self):
        return float(self.metrics()["noroshi_config_loaded_timestamp_seconds"])

    def reload(self, text=None):
        """Seconds until the configuration is in force, and seconds of processor until then."""
        if text is not None:
            new = self.config.with_suffix(".new")
            new.write_text(text)
            new.rename(self.config)
        before, cpu, begun = self.loaded(), cpu_seconds(self.process.pid), time.monotonic()
        self.process.send_signal(signal.SIGHUP)
        while self.loaded() == before:
            # Each look takes the server some milliseconds.
            time.sleep(0.05)
            if time.monotonic() - begun > PATIENCE_SECONDS:
                sys.exit("the configuration is not taken over; see noroshi.log")
        return time.monotonic() - begun, cpu_seconds(self.process.pid) - cpu

    def resident(self):
        return float(self.metrics()["process_resident_memory_bytes"]) / 2**20

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def latency(before, after):
    """How late the runs between two readings began: number, share above 0.1 s, worst bucket."""
    name = "noroshi_checks_latency_seconds"
    count = int(float(after[f"{name}_count"])) - int(float(before[f"{name}_count"]))
    counts = {}
    for key in after:
        if found := re.match(name + r'_bucket\{le="([0-9.]+)"\}', key):
            counts[float(found[1])] = int(float(after[key])) - int(float(before[key]))
    worst = next((f"{end:g} s" for end, n in sorted(counts.items()) if n == count), "more")
    return count, worst


def api(server):
    """Median milliseconds of each call that a page makes."""
    calls = [
        "/api/v1/overview",
        "/api/v1/hosts/h00001",
        "/api/v1/check?host=h00001&check=tcp0",
        "/api/v1/why?host=h00001&check=tcp0",
        "/api/v1/events",
        "/api/v1/notifications",
        "/api/v1/query?expr=count(noroshi_check_status)",
        "/metrics",
    ]
    for path in calls:
        times = []
        for _ in range(9):
            begun = time.monotonic()
            status, body = server.ask(path)
            times.append((time.monotonic() - begun) * 1000)
        print(f"| {path} | {status} | {sorted(times)[4]:.1f} | {len(body) / 1024:.0f} |")


def memory(server, hosts, way):
    series = float(server.metrics()["noroshi_store_series"])
    what = f"noroshi with {hosts} hosts, {way}"
    print(f"| {what} | | | {server.resident():.0f} MiB, {series:.0f} series |", flush=True)


def row(what, seconds, cpu, remark=""):
    print(f"| {what} | {seconds:.2f} | {cpu:.2f} | {remark} |", flush=True)


def nginx(folder, port):
    """The server that checks connect to."""
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    )
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{ worker_connections 4096; }}\nhttp {{ access_log off; {temporary}"
        f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 \"it works\\n\"; }} }} }}\n"
    )
    return subprocess.Popen(["nginx", "-c", conf, "-e", folder / "error.log"])


def measure_noroshi(program, folder, sites):
    ways = [("checks for a group", sites.groups), ("a table a check", sites.tables)]
    for way, write in ways:
        config = folder / "noroshi.toml"
        config.write_text(write())
        took, cpu, memory = timed([program, "check-config", "--config", config])
        row(f"noroshi check-config, {way}", took, cpu, f"{memory:.0f} MiB")
        data = folder / way.replace(" ", "-")
        data.mkdir()
        server = Server(program, data, config)
        try:
            measure_server(server, sites.hosts, way, write)
        finally:
            server.stop()


def measure_quiet(program, folder, hosts):
    """What reloads alone take of the processor: the same sites with checks that nothing runs."""
    checks = [(name, 'passive = "26h"', command) for name, _, command in CHECKS]
    sites = Sites(folder, hosts, 1, checks)
    for way, write in [("checks for a group", sites.groups), ("a table a check", sites.tables)]:
        config = folder / "noroshi.toml"
        config.write_text(write())
        data = folder / f"quiet-{way.replace(' ', '-')}"
        data.mkdir()
        server = Server(program, data, config)
        try:
            time.sleep(QUIET_SECONDS)
            for what, text in [("as it is", None), ("one host changed", write(note="new"))]:
                if text is not None:
                    config.write_text(text)
                cpu = cpu_seconds(server.process.pid)
                server.process.send_signal(signal.SIGHUP)
                time.sleep(QUIET_SECONDS)
                cpu = cpu_seconds(server.process.pid) - cpu
                row(f"noroshi reload while no check runs, {what}, {way}", 0, cpu)
        finally:
            server.stop()


def measure_server(server, hosts, way, write):
    row(f"noroshi start until it is ready, {way}", *server.start, f"{server.resident():.0f} MiB")
    time.sleep(SETTLE_SECONDS)
    memory(server, hosts, way)
    before = server.metrics()
    time.sleep(10)
    idle = latency(before, server.metrics())
    calm = f"{idle[0]} runs in 10 s, the latest within {idle[1]}"
    row(f"noroshi without a reload, {way}", 0, 0, calm)
    for what, text in [
        ("as it is", None),
        ("one host changed", write(note="new")),
        (f"{hosts // 10} hosts more", write(hosts + hosts // 10)),
    ]:
        before = server.metrics()
        took, cpu = server.reload(text)
        time.sleep(max(0, 10 - took))
        runs, worst = latency(before, server.metrics())
        remark = f"{runs} runs in 10 s, the latest within {worst}"
        row(f"noroshi reload, {what}, {way}", took, cpu, remark)
    memory(server, hosts + hosts // 10, way)
    print("\n| API call | status | median ms | KiB |\n| --- | ---: | ---: | ---: |")
    api(server)
    metrics = server.metrics()
    print("\nchecks:", {k: int(float(v)) for k, v in metrics.items() if k.startswith("noroshi_checks{")})
    print("\n| what | s | CPU s | remarks |\n| --- | ---: | ---: | --- |")


def measure_nagios(folder, sites):
    main = sites.nagios()
    took, cpu, memory = timed(["nagios4", "-v", main])
    row("nagios4 -v", took, cpu, f"{memory:.0f} MiB")
    begun = time.monotonic()
    process = subprocess.Popen(["nagios4", main], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        log = folder / "nagios" / "log"
        status = folder / "nagios" / "status"
        while not status.exists():
            time.sleep(0.01)
            if process.poll() is not None or time.monotonic() - begun > PATIENCE_SECONDS:
                sys.exit(f"nagios4 does not start: {log.read_text()[-2000:]}")
        row("nagios4 start until its status file", time.monotonic() - begun, cpu_seconds(process.pid))
        cpu, begun = cpu_seconds(process.pid), time.monotonic()
        seen = status.stat().st_mtime_ns
        process.send_signal(signal.SIGHUP)
        while status.stat().st_mtime_ns == seen:
            time.sleep(0.01)
        row("nagios4 reload (it starts anew)", time.monotonic() - begun, cpu_seconds(process.pid) - cpu)
    finally:
        process.terminate()
        process.wait()


def main():
    program, folder, hosts = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    port = free_port()
    web = nginx(folder, port)
    try:
        load = Path("/proc/loadavg").read_text().split()[0]
        print(f"{hosts} hosts with {len(CHECKS) * hosts} checks; {os.cpu_count()} processors, load {load}\n")
        print("| what | s | CPU s | remarks |\n| --- | ---: | ---: | --- |")
        sites = Sites(folder, hosts, port)
        measure_nagios(folder, sites)
        measure_noroshi(program, folder, sites)
        measure_quiet(program, folder, hosts)
    finally:
        web.terminate()
        web.wait()


if __name__ == "__main__":
    main()
