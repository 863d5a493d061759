#!/usr/bin/env bash
# fhir.resources 8.3.0: a decimal loses its last zeros when it is read and when it is made.
#
# Guess: a package that keeps a decimal as Decimal writes 0.810 as it was given; FHIR (datatypes, decimal) says that the
# precision is part of the value and that 0.010 is not the same as 0.01.
# Seen: 0.810 g/cm2 read from JSON, or given as Decimal("0.810"), is written as 0.81; 1.000 becomes 1.0 and no longer
# says that it was measured to a thousandth. So a digest or signature of a resource that went through it does not hold
# either.
# Whoever passes estimates on as an Observation gives their interval beside them: it does not hang on zeros.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check fhir.resources==8.3.0
cat > "$place/look.py" << 'PYTHON'
import re
import sys
from decimal import Decimal

from fhir.resources.observation import Observation

SHELL = '{"resourceType":"Observation","status":"preliminary","code":{"text":"BMD"},"valueQuantity":{"value":%s}}'
seen = []
for text in ("0.810", "1.000", "0.812"):
    read = Observation.model_validate_json(SHELL % text)
    made = Observation(status="preliminary", code={"text": "BMD"}, valueQuantity={"value": Decimal(text)})
    written = [re.search(r'"value":([0-9.]+)', one.model_dump_json()).group(1) for one in (read, made)]
    print(f"{text}: read and written {written[0]}, made and written {written[1]}")
    seen.append(written)
sys.exit(seen != [["0.81"] * 2, ["1.0"] * 2, ["0.812"] * 2])
PYTHON
"$place/env/bin/python" "$place/look.py"
