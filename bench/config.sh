#!/usr/bin/env bash
# Measures how long a reload of a big configuration takes, beside `nagios4 -v` on the same site:
# reading and validating, putting hosts and checks together, applying the difference.
#
#   bench/config.sh                    10,000 hosts with 100,000 checks
#   CONFIG_HOSTS=1000 bench/config.sh  less
#
# Needs Debian and, for the first run, root: it installs nagios4-core. CONFIG_LOAD names a program
# that is built already. Processor time is counted, so that other programs do not matter much.
set -euo pipefail
cd "$(dirname "$0")/.."

hosts=${CONFIG_HOSTS:-10000}
folder=$(mktemp -d "${BENCH_DIR:-/var/tmp}/noroshi-bench-XXXXXX")
trap 'rm -rf "$folder"' EXIT
dpkg -s nagios4-core >/dev/null 2>&1 ||
    apt-get install -y --no-install-recommends nagios4-core >/dev/null ||
    { echo "install first: apt-get install nagios4-core"; exit 1; }
[ -n "${CONFIG_LOAD:-}" ] || cargo build --quiet --release --example config_load
load=$(realpath "${CONFIG_LOAD:-${CARGO_TARGET_DIR:-target}/release/examples/config_load}")

"$load" generate "$folder" "$hosts"
for form in groups tables; do
    echo "noroshi, $form.toml:"
    "$load" reload "$folder/$form.toml"
done
echo "nagios4 -v:"
TIMEFORMAT='%U s user, %S s system'
time nagios4 -v "$folder/nagios/nagios.cfg" >"$folder/out" || { tail -20 "$folder/out"; exit 1; }
grep -E 'Checked [0-9]+' "$folder/out"
