#!/usr/bin/env bash
# statsmodels 0.15.0: McNemar's test of two methods that always agree has p = 0 with the chi-square distribution.
#
# Guess: without a single pair that differs there is no evidence of a difference: p = 1, or none at all.
# Seen: mcnemar(exact=False) divides the correction for continuity by no pairs and says p = 0.0 (with a RuntimeWarning
# of numpy about a division); without the correction it is NaN, and the exact test gives 1.0. One pair that differs
# gives 1.0.
# So two readings of a screening threshold that never differ look as different as can be: ask for the exact test.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check statsmodels==0.15.0 numpy==2.4.6
cat > "$place/look.py" << 'PYTHON'
import sys

from statsmodels.stats.contingency_tables import mcnemar


def p(differ, **asked):
    return float(mcnemar([[30, differ], [0, 12]], **asked).pvalue)


print(f"no pair differs: chi-square p {p(0, exact=False)}, uncorrected {p(0, exact=False, correction=False)}")
print(f"no pair differs: exact p {p(0, exact=True)}; one differs: chi-square p {p(1, exact=False)}")
sys.exit((p(0, exact=False), p(0, exact=True), p(1, exact=False)) != (0.0, 1.0, 1.0))
PYTHON
"$place/env/bin/python" "$place/look.py"
