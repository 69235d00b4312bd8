#!/usr/bin/env bash
# Measures a site of 10,000 hosts with 100,000 checks: validating, starting, reloading it as it is,
# with one host changed and with 1,000 hosts more; whether a check runs late meanwhile; memory; and
# the API's answers. Beside it Nagios Core validates and starts the same site. Prints tables.
#
#   bench/config.sh                    10,000 hosts with 100,000 checks
#   CONFIG_HOSTS=1000 bench/config.sh  less
#   NOROSHI=PROGRAM bench/config.sh    another program than that of `cargo build --release`
#
# Needs Debian and, for the first run, root: it installs nagios4-core, monitoring-plugins-basic,
# nginx-light and python3. Nothing listens but on 127.0.0.1; what it starts it ends. Seven minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d "${BENCH_DIR:-/var/tmp}/noroshi-bench-XXXXXX")
chmod 755 "$folder"
trap 'rm -rf "$folder"' EXIT

missing=()
for package in nagios4-core monitoring-plugins-basic nginx-light python3; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq || true
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null ||
        { echo "install first: apt-get install ${missing[*]}"; exit 1; }
fi
[ -n "${NOROSHI:-}" ] || cargo build --quiet --release --bin noroshi
noroshi=$(realpath "${NOROSHI:-${CARGO_TARGET_DIR:-target}/release/noroshi}")

python3 bench/config.py "$noroshi" "$folder" "${CONFIG_HOSTS:-10000}"
