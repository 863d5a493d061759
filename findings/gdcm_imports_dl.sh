#!/usr/bin/env bash
# python-gdcm 3.2.6: `import gdcm` also imports whatever is called `dl`.
#
# Guess: the package loads its own extension module and nothing else.
# Seen: gdcm.py tries `import dl` (a module of Python 2, gone since 2010) before its own extension, to read two loader
# flags from it. Any folder or file of that name where Python looks first, an empty folder is enough, is taken for it,
# and the import ends with an AttributeError about flags.
# So a decoder plug-in can vanish because of a folder of downloads beside the script.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check python-gdcm==3.2.6
mkdir -p "$place/plain" "$place/beside/dl"
look='import gdcm; print("gdcm", gdcm.Version.GetVersion(), "loaded")'
(cd "$place/plain" && "$place/env/bin/python" -c "$look")
if (cd "$place/beside" && "$place/env/bin/python" -c "$look" 2> "$place/error"); then
  echo "loaded beside a folder named dl: changed"
  exit 1
fi
echo "beside an empty folder named dl: $(tail -n 1 "$place/error")"
grep -q "AttributeError" "$place/error"
