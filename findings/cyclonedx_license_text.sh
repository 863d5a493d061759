#!/usr/bin/env bash
# cyclonedx-bom 7.5.0 (cyclonedx-py): a license that a package states in free text is not in the bill of materials.
#
# Guess: a License field that is no SPDX identifier becomes a license by name, as CycloneDX has it for that.
# Seen: protobuf 6.33.6 states "3-Clause BSD License" in its metadata and no classifier of a license; its component has
# no licenses at all. A check "no copyleft in the bill" then passes for what nobody has stated.
# So `export/container/licenses.py` ends the build at a package without a license, and names those that somebody has read.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
for name in tool shown; do python3 -m venv "$place/$name"; done
"$place/tool/bin/pip" install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0
"$place/shown/bin/pip" install --quiet --disable-pip-version-check protobuf==6.33.6
stated=$(grep -i "^license" "$place/shown"/lib/python3*/site-packages/protobuf-6.33.6.dist-info/METADATA)
"$place/tool/bin/cyclonedx-py" environment --output-format JSON "$place/shown/bin/python" > "$place/bom.json" 2> /dev/null
python3 - "$place/bom.json" "$stated" <<'PY'
import json
import sys

(one,) = [part for part in json.load(open(sys.argv[1]))["components"] if part["name"] == "protobuf"]
print(f"protobuf {one['version']}: the package says {sys.argv[2]!r}, the bill of materials {one.get('licenses')}")
sys.exit(0 if "3-Clause BSD" in sys.argv[2] and not one.get("licenses") else 1)
PY
