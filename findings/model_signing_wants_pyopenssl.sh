#!/usr/bin/env bash
# model-signing 1.1.1 (with sigstore 4.5.1): installed alone, the signing half cannot be imported.
#
# Guess: pip install model-signing brings all that `from model_signing import signing` needs.
# Seen: it imports OpenSSL (pyOpenSSL), which its metadata does not ask for.
# The result is a ModuleNotFoundError at import, also for key mode, which needs no certificates.
# So extra `sign` of this project names pyOpenSSL itself.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check model-signing==1.1.1 sigstore==4.5.1
cat > "$place/look.py" << 'PYTHON'
import sys
from importlib.metadata import requires

asked = any(name.lower().startswith("pyopenssl") for name in requires("model-signing"))
try:
    from model_signing import signing
    missing = None
except ModuleNotFoundError as error:
    missing = error.name
print(f"metadata asks for pyOpenSSL: {asked}; module missing at import: {missing}")
sys.exit(asked or missing != "OpenSSL")
PYTHON
"$place/env/bin/python" "$place/look.py"
