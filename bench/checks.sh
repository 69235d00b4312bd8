#!/usr/bin/env bash
# Measures checks a second on this machine: plug-ins beside Nagios Core and beside starting the same
# program without any server; native TCP and HTTP checks beside blackbox_exporter and beside starting
# Nagios' own plug-ins. Prints a table.
#
#   bench/checks.sh [SECONDS]      each rate is measured for so long, 15 when nothing is said
#   NOROSHI=PROGRAM bench/checks.sh   another program than that of `cargo build --release`
#
# "Own CPU" is that of the server and its spawner (of Nagios: its process and workers), "all" also
# that of the plug-ins: with two processors 2000 / all is the most that can be done in a second.
#
# Needs Debian and, for the first run, root: it installs nagios4-core, monitoring-plugins-basic,
# prometheus-blackbox-exporter, nginx-light, curl and python3. Nothing listens but on 127.0.0.1;
# what it starts it ends. About four minutes, of which Nagios takes one and a half: its own count of
# checks is of the last minute.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-15}
services=4000
folder=$(mktemp -d)
chmod 755 "$folder"
started=()
finish() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT

missing=()
for package in nagios4-core monitoring-plugins-basic prometheus-blackbox-exporter nginx-light \
    curl python3; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq || true
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null ||
        { echo "install first: apt-get install ${missing[*]}"; exit 1; }
fi

[ -n "${NOROSHI:-}" ] || cargo build --quiet --release
noroshi=$(realpath "${NOROSHI:-${CARGO_TARGET_DIR:-target}/release/noroshi}")
# It needs nothing but the standard library.
load=$folder/load
rustc -O --edition 2024 bench/checks_load.rs -o "$load"
plugins=/usr/lib/nagios/plugins

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Prints the CPU ticks (10 ms) that processes have used: their own, and with their children's.
ticks() {
    # A short-lived child may be gone by now.
    for pid in "$@"; do sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null || true; done |
        awk '{ own += $12 + $13; all += $12 + $13 + $14 + $15 } END { print own, all }'
}

children() { pgrep -P "$1" || true; }

row() { printf '| %-34s | %10s | %14s | %10s | %s |\n' "$@"; }

divide() { awk -v a="$1" -v b="$2" -v f="${3:-%.3f}" 'BEGIN { printf f, b ? a / b : 0 }'; }

nginx_port=$(free_port)
mkdir "$folder/nginx"
cat >"$folder/nginx.conf" <<END
daemon off; worker_processes 1; pid $folder/nginx/pid; error_log $folder/nginx/error.log;
events { worker_connections 8192; }
http {
    access_log off;
    client_body_temp_path $folder/nginx/body; proxy_temp_path $folder/nginx/proxy;
    fastcgi_temp_path $folder/nginx/f; uwsgi_temp_path $folder/nginx/u; scgi_temp_path $folder/nginx/s;
    server { listen 127.0.0.1:$nginx_port backlog=8192; location / { return 200 "it works\n"; } }
}
END
nginx -c "$folder/nginx.conf" -e "$folder/nginx/error.log" &
nginx=$!
started+=("$nginx")

# Starts noroshi with COUNT checks on ten hosts; sets `server`, `spawner` and `url`.
begin_noroshi() {
    local count=$1 interval=$2 probe=$3
    rm -rf "$folder/data"
    {
        printf '[local]\nwatch = false\n'
        for host in 0 1 2 3 4 5 6 7 8 9; do
            printf '[host.h%s]\naddress = "127.0.0.1"\n' "$host"
            for ((i = 0; i < count / 10; i++)); do
                printf '[host.h%s.check.c%s]\n%s\ninterval = "%s"\n' "$host" "$i" "$probe" "$interval"
            done
        done
    } >"$folder/noroshi.toml"
    "$noroshi" serve --config "$folder/noroshi.toml" --data "$folder/data" \
        --listen 127.0.0.1:0 >"$folder/noroshi.out" 2>"$folder/noroshi.log" &
    server=$!
    started+=("$server")
    until grep -q config "$folder/noroshi.out"; do sleep 0.1; done
    url=$(grep -o 'http://[0-9.:]*' "$folder/noroshi.out" | head -1)
    token=$(head -1 "$folder/data/local-access")
    spawner=$(children "$server")
}

end_noroshi() {
    kill "$server"
    wait "$server" 2>/dev/null || true
}

ask() { curl -sS -H "Authorization: Bearer $token" "$url$1"; }

results() { ask /metrics | awk '$1 == "noroshi_checks_results_total" { print $2 }'; }

# Measures what runs: sets `rate`, and milliseconds a check: `own` of the server and its spawner,
# `all` with the plug-ins.
measure() {
    sleep 5
    local before after own_before all_before own_after all_after begun
    before=$(results)
    read -r own_before all_before < <(ticks "$server" $spawner)
    begun=$(date +%s.%N)
    sleep "$seconds"
    after=$(results)
    read -r own_after all_after < <(ticks "$server" $spawner)
    rate=$(awk -v n=$((after - before)) -v a="$begun" -v b="$(date +%s.%N)" \
        'BEGIN { printf "%.0f", n / (b - a) }')
    own=$(divide $(((own_after - own_before) * 10)) $((after - before)))
    all=$(divide $(((all_after - all_before) * 10)) $((after - before)))
}

# Prints the 50th, 99th and 100th of a hundred last latencies, in ms.
latencies() {
    for host in 0 1 2 3 4 5 6 7 8 9; do ask "/api/v1/hosts/h$host"; done | python3 -c '
import json, re, sys
late = sorted(float(x) for x in re.findall(r"\"latency_ms\":([0-9.e+-]+)", sys.stdin.read()))
at = lambda share: late[min(len(late) - 1, int(len(late) * share))]
print(f"{at(0.5):.0f} / {at(0.99):.0f} / {late[-1]:.0f} ms of {len(late)}")'
}

begin_nagios() {
    mkdir -p "$folder/nagios/results"
    local n=$folder/nagios
    cat >"$n/nagios.cfg" <<END
cfg_file=$n/objects.cfg
log_file=$n/nagios.log
status_file=$n/status.dat
status_update_interval=10
check_result_path=$n/results
object_cache_file=$n/objects.cache
temp_file=$n/temp
temp_path=$n
lock_file=$n/pid
command_file=$n/cmd
query_socket=$n/query
state_retention_file=$n/retention
nagios_user=$(id -un)
nagios_group=$(id -gn)
interval_length=1
execute_service_checks=1
execute_host_checks=0
enable_notifications=0
enable_event_handlers=0
enable_flap_detection=0
use_large_installation_tweaks=1
enable_environment_macros=0
max_concurrent_checks=0
use_syslog=0
event_broker_options=0
END
    {
        cat <<END
define timeperiod {
 timeperiod_name always
 alias always
 sunday 00:00-24:00
 monday 00:00-24:00
 tuesday 00:00-24:00
 wednesday 00:00-24:00
 thursday 00:00-24:00
 friday 00:00-24:00
 saturday 00:00-24:00
}
define command {
 command_name dummy
 command_line $plugins/check_dummy 0 fine
}
END
        for host in 0 1 2 3 4 5 6 7 8 9; do
            printf 'define host {\n host_name h%s\n address 127.0.0.1\n max_check_attempts 1\n}\n' "$host"
            for ((i = 0; i < services / 10; i++)); do
                cat <<END
define service {
 host_name h$host
 service_description c$i
 check_command dummy
 check_interval 1
 retry_interval 1
 max_check_attempts 1
 check_period always
 notifications_enabled 0
 contacts nobody
}
END
            done
        done
        cat <<END
define contact {
 contact_name nobody
 host_notification_period always
 service_notification_period always
 host_notification_options n
 service_notification_options n
 host_notification_commands dummy
 service_notification_commands dummy
}
END
    } >"$n/objects.cfg"
    nagios4 "$n/nagios.cfg" >"$n/out" 2>&1 &
    nagios=$!
    started+=("$nagios")
}

echo "$(nproc) processors, $(uname -sr), $(date -u +%F), load $(cut -d' ' -f1 /proc/loadavg)"
echo
row "what" "checks/s" "own CPU ms each" "all ms" "remarks"
row "---" "---:" "---:" "---:" "---"

dummy=("$plugins/check_dummy" 0 fine)
# The environment that noroshi gives plug-ins: the C library reads one file of its locale, not twelve.
lean=(env -i PATH=/usr/bin:/bin LC_CTYPE=C.UTF-8)
bare() {
    read -r rate own all < <("${@:2}" "$load" spawn 8 "$seconds" "${dummy[@]}")
    row "check_dummy, bare, 8 at once$1" "$rate" "$own" "$all" "no server: how fast the machine starts it"
}
bare "" env LC_ALL=C.UTF-8
before=$rate
bare ", LC_CTYPE" "${lean[@]}"
before_lean=$rate

command="command = [\"$plugins/check_dummy\", \"0\", \"fine\"]"
begin_noroshi $services 1s "$command"
measure
row "check_dummy by noroshi" "$rate" "$own" "$all" "$services/s wanted; server and spawner"
end_noroshi
ours=$rate

bare "" env LC_ALL=C.UTF-8
before=$((before + rate))
bare ", LC_CTYPE" "${lean[@]}"
before_lean=$((before_lean + rate))
echo "| noroshi has | $(divide $((ours * 200)) "$before" %.0f) % | | |" \
    "of the bare rate; of that with LC_CTYPE $(divide $((ours * 200)) "$before_lean" %.0f) % |"

begin_nagios
sleep 10
read -r own_before all_before < <(ticks "$nagios" $(children "$nagios"))
sleep 70
read -r own_after all_after < <(ticks "$nagios" $(children "$nagios"))
sleep 11
checks=$(nagios4stats -c "$folder/nagios/nagios.cfg" -m -d NUMSACTSVCCHECKS1M 2>/dev/null ||
    nagiostats -c "$folder/nagios/nagios.cfg" -m -d NUMSACTSVCCHECKS1M)
kill "$nagios"
in_span=$((checks * 70 / 60))
row "check_dummy by Nagios" "$(divide "$checks" 60 %.0f)" \
    "$(divide $(((own_after - own_before) * 10)) "$in_span")" \
    "$(divide $(((all_after - all_before) * 10)) "$in_span")" \
    "$services/s wanted; noroshi has $(divide "$ours" "$((checks / 60))" %.1f) times as many"

begin_noroshi 5000 10s "$command"
sleep 5
measure
row "check_dummy by noroshi, 500/s" "$rate" "$own" "$all" "late 50/99/100 of 100: $(latencies)"
end_noroshi

begin_noroshi 15000 1s "tcp = \"127.0.0.1:$nginx_port\""
measure
row "TCP connect by noroshi" "$rate" "$own" "" "15,000/s wanted"
end_noroshi
begin_noroshi 15000 1s "http = \"http://127.0.0.1:$nginx_port/\""
nginx_worker=$(children "$nginx")
read -r nginx_before _ < <(ticks "$nginx_worker")
counted=$(results)
measure
read -r nginx_after _ < <(ticks "$nginx_worker")
served=$(divide $(((nginx_after - nginx_before) * 10)) $(($(results) - counted)))
row "HTTP GET by noroshi" "$rate" "$own" "" "15,000/s wanted; nginx itself takes $served ms for each"
end_noroshi

box_port=$(free_port)
cat >"$folder/blackbox.yml" <<END
modules:
  tcp: { prober: tcp, timeout: 5s }
  http: { prober: http, timeout: 5s, http: { preferred_ip_protocol: ip4 } }
END
prometheus-blackbox-exporter --config.file="$folder/blackbox.yml" --log.level=error \
    --web.listen-address="127.0.0.1:$box_port" >"$folder/blackbox.log" 2>&1 &
box=$!
started+=("$box")
until curl -s "http://127.0.0.1:$box_port/-/healthy" >/dev/null; do sleep 0.1; done
for module in tcp http; do
    at="127.0.0.1:$nginx_port"
    [ $module = http ] && at="http://$at/"
    read -r own_before _ < <(ticks "$box")
    read -r rate good < <("$load" get 50 "$seconds" "127.0.0.1:$box_port" "/probe?module=$module&target=$at")
    read -r own_after _ < <(ticks "$box")
    row "$module by blackbox_exporter" "$rate" \
        "$(divide $(((own_after - own_before) * 10)) $((rate * seconds)))" "" \
        "50 probes at once; succeeded: $good"
done
for check in check_tcp check_http; do
    read -r rate own all < <("$load" spawn 8 "$seconds" "$plugins/$check" -H 127.0.0.1 -p "$nginx_port")
    row "$check, bare, 8 at once" "$rate" "$own" "$all" "the most that Nagios could do"
done
