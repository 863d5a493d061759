#!/usr/bin/env bash
# model-signing 1.1.1: the password of an encrypted private key is typed as str, and only bytes work.
#
# Guess: use_elliptic_key_signer(private_key=..., password="...") takes a str, as its signature says.
# Seen: a str ends in TypeError ("Cannot convert ... to a buffer"), as it goes to cryptography as it came; the same
# password as bytes signs, and a type checker objects to it.
# So a passphrase is read as bytes and handed over as bytes (export/bundle/sign.py).
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check model-signing==1.1.1 pyopenssl==26.4.0
openssl ecparam -name prime256v1 -genkey -noout | openssl ec -aes128 -passout pass:secret -out "$place/key.pem" 2> "$place/log"
cat > "$place/look.py" << 'PYTHON'
import inspect
import sys
from pathlib import Path

from model_signing import signing

key = Path(sys.argv[1])
typed = inspect.signature(signing.Config.use_elliptic_key_signer).parameters["password"].annotation
outcomes = []
for password in ("secret", b"secret"):
    try:
        signing.Config().use_elliptic_key_signer(private_key=key, password=password)
        outcomes.append("signs")
    except TypeError as error:
        outcomes.append(f"TypeError: {error}".splitlines()[0])
print(f"typed {typed}; str: {outcomes[0]}; bytes: {outcomes[1]}")
sys.exit("str" not in str(typed) or not outcomes[0].startswith("TypeError") or outcomes[1] != "signs")
PYTHON
"$place/env/bin/python" "$place/look.py" "$place/key.pem"
