#!/usr/bin/env bash
# crepes 0.9.1: a category that calibration has not seen gets a prediction interval without width.
#
# Guess: an error, or the infinite interval that too few residuals of a known category give: nothing is known of it.
# Seen: a Mondrian ConformalRegressor fitted on the residuals of 100 women answers, for a man, the interval from 0 to 0
# (any confidence asked, 0.5 to 0.99, and with the normalized scores too), without a warning. With y_min and y_max it is
# cut to that range, so a prediction of 0.8 becomes an interval from 0.3 to 0.3. The point prediction is not in either.
# So test that every category at use was there at calibration, before asking; bmd_edge computes its intervals itself,
# and crepes is what its tests compare with, without categories.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check crepes==0.9.1 numpy==2.4.6 scikit-learn==1.9.1
cat > "$place/look.py" << 'PYTHON'
import sys
import warnings

import numpy as np
from crepes import ConformalRegressor

warnings.simplefilter("error")
residuals = np.random.default_rng(0).normal(0, 0.05, 100)
wide = np.ones(100)
women, both = np.array(["F"] * 100), np.array(["F", "M"])
predicted = np.array([0.8, 0.8])
seen = []
for confidence in (0.5, 0.9, 0.99):
    plain, scaled = ConformalRegressor(), ConformalRegressor()
    plain.fit(residuals, bins=women)
    scaled.fit(residuals, sigmas=wide, bins=women)
    asked = {"bins": both, "confidence": confidence}
    seen += [
        plain.predict_int(predicted, **asked),
        scaled.predict_int(predicted, sigmas=np.ones(2), **asked),
        plain.predict_int(predicted, y_min=0.3, y_max=2.0, **asked),
    ]
    for intervals in seen[-3:]:
        print(f"confidence {confidence}: known {np.round(intervals[0], 3)}, not seen {np.round(intervals[1], 3)}")
few = ConformalRegressor()
few.fit(residuals[:8])
warnings.simplefilter("ignore")
print("confidence 0.95, eight residuals of a known category:", few.predict_int(predicted, confidence=0.95)[0])
sys.exit(not all(one[1][0] == one[1][1] != 0.8 and one[0][1] > one[0][0] for one in seen))
PYTHON
"$place/env/bin/python" "$place/look.py"
