#!/usr/bin/env bash
# pynetdicom 3.0.4: the wheel brings commands with the names of DCMTK's, and with other options.
#
# Guess: pynetdicom's applications are started by `python -m pynetdicom storescu`, and pip puts no command into PATH.
# Seen: pip installs echoscu, findscu, getscu, movescu, storescu, storescp (six names of DCMTK) and two of its own. In an
# active environment they stand before /usr/bin. `storescu host port folder +sd +r`, DCMTK's way to send a folder, takes
# "+sd" and "+r" for files that cannot be accessed; `storescp --fork` ends with "unrecognized arguments"; DCMTK's options
# that propose a compressed syntax (-xs, -xv, -xt) do not exist.
# So whoever follows DCMTK's manual inside an environment with pynetdicom meets errors that name neither program: tests
# that mean DCMTK call it by its whole path, and so should a clinic's scripts.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check pynetdicom==3.0.4 pydicom==3.0.2
for name in echoscu findscu getscu movescu storescu storescp; do
    test -x "$place/env/bin/$name" && echo "pip installed $name"
done
mkdir "$place/films"
"$place/env/bin/storescu" 127.0.0.1 11112 "$place/films" +sd +r > "$place/sent" 2>&1 || true
grep -F "Cannot access path: +sd" "$place/sent"
grep -F "Cannot access path: +r" "$place/sent"
{ "$place/env/bin/storescp" --fork 11112 || true; } 2>&1 | grep -F "unrecognized arguments: --fork"
! "$place/env/bin/storescu" --help | grep -E -- "-xs|-xv|-xt"
echo "no option proposes a compressed syntax"
