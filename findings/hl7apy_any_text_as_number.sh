#!/usr/bin/env bash
# hl7apy 1.3.5: a message whose numeric result (OBX-2 NM) holds a word passes its strict validation.
#
# Guess: `validate` compares OBX-5 with the data type that OBX-2 names, and refuses "<0.40" or a word where that is NM
# (HL7 v2.5.1, chapter 2A: digits, a sign and a point only), as it refuses a message that lacks OBX-11.
# Seen: OBX-5 is of varying type in the tables and no text in it is looked at, whatever OBX-2 says, on both levels of
# validation; the missing field is refused.
# So a receiver's test of its BMD results by this package proves the frame of the message and none of its numbers.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check hl7apy==1.3.5
"$place/env/bin/python" - <<'PY'
from importlib.metadata import version

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import ValidationError
from hl7apy.parser import parse_message


def passes(value: str, status: str, level: int) -> bool:
    segments = [
        r"MSH|^~\&|A|B|C|D|20260101||ORU^R01^ORU_R01|1|P|2.5.1",
        "PID|1||4711||Doe^Jane",
        "OBR|1||A1|1^Hip",
        f"OBX|1|NM|1^BMD||{value}|g/cm2|||||{status}",
    ]
    try:
        return bool(parse_message("\r".join(segments) + "\r", validation_level=level).validate())
    except ValidationError as error:
        print(f"  refused: {error}")
        return False


print("hl7apy", version("hl7apy"))
found = {}
for name, level in (("strict", VALIDATION_LEVEL.STRICT), ("tolerant", VALIDATION_LEVEL.TOLERANT)):
    for value, status in (("0.70", "F"), ("<0.40", "F"), ("low", "F"), ("0.70", "")):
        found[name, value, status] = passes(value, status, level)
        print(f"{name}: OBX-5 {value!r}, OBX-11 {status!r}: {'passes' if found[name, value, status] else 'is refused'}")
wanted = {key: bool(key[2]) for key in found}
raise SystemExit(int(found != wanted))
PY
