#!/usr/bin/env bash
# ray 2.60.0: a head that is told to be 127.0.0.1 takes the machine's outside address.
#
# Guess: ray start --head --node-ip-address=127.0.0.1 makes a cluster that other machines cannot reach.
# Seen: "Local node IP" and the address to join are those of the first outside interface, with no word about it. Only
# where no other interface is up (a network namespace, say) does it stay on the loopback.
# So a cluster for one machine is open to its network: bmd_edge/README.md asks for a network that nobody else reaches and
# for a token, and the tests start theirs in a namespace.
# Exit 0: still so. Exit 1: changed. Exit 2: this machine has no outside address to see it with.
set -euo pipefail
outside=$(hostname -I | cut -d' ' -f1)
[ -n "$outside" ] || { echo "no outside address here" >&2; exit 2; }
place=$(mktemp -d)
trap '"$place/env/bin/ray" stop --force > "$place/stopped" 2>&1; rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check ray==2.60.0
export RAY_USAGE_STATS_ENABLED=0
"$place/env/bin/ray" start --head --node-ip-address=127.0.0.1 --port=6399 --num-cpus=1 --include-dashboard=false \
    --temp-dir="$place/ray" > "$place/said" 2>&1
grep -E "Local node IP|--address=" "$place/said"
grep -q "Local node IP: $outside" "$place/said"
