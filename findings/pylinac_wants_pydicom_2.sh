#!/usr/bin/env bash
# pylinac 3.49.0, the physicist's package for quality assurance, and pydicom 3.0.2: no environment holds both.
#
# Guess: pylinac goes along with pydicom 3, which is two years old.
# Seen: it asks for pydicom below 3 and runs with 2.4.5, whose `save_as` knows no `enforce_file_format`; pip finds no
# set of versions for both.
# So a physicist who has pylinac keeps `bmd-edge`, which needs pydicom 3, in an environment of its own (`pipx`, or a venv),
# and hands over files.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
if "$place/env/bin/pip" install --quiet --disable-pip-version-check pylinac==3.49.0 pydicom==3.0.2 2> "$place/said"; then
  echo "CHANGED: both are installed"
  exit 1
fi
if ! grep -q "Cannot install .*conflicting dependencies" "$place/said"; then
  echo "CHANGED: pip failed for another reason:"
  cat "$place/said"
  exit 1
fi
"$place/env/bin/pip" install --quiet --disable-pip-version-check pylinac==3.49.0
"$place/env/bin/python" - <<'END'
import inspect

import pydicom

print("pylinac alone comes with pydicom", pydicom.__version__)
knows = "enforce_file_format" in inspect.signature(pydicom.Dataset.save_as).parameters
assert pydicom.__version__.startswith("2.") and not knows, "CHANGED"
END
echo "as described: pylinac 3.49.0 and pydicom 3.0.2 exclude each other"
