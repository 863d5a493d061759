#!/usr/bin/env bash
# statsmodels 0.15.0: combine_effects(method_re="dl") gives a variance between studies below zero, and uses it.
#
# Guess: DerSimonian and Laird's tau2 is max(0, (Q - df) / C), as they define it (Control Clin Trials 1986;7:177-188):
# of studies that agree, the random effects are the fixed effect.
# Seen: tau2 is not cut at zero. With the four studies below it is -0.000099983 beside variances of 0.0001, every weight
# grows by it, and the 95 % interval of the random effect is 77 times narrower than that of the fixed effect; no warning.
# method_re="pm" (Paule and Mandel) gives 0. I2 is below zero with both.
# So calibration/study/pool.py asks for Paule and Mandel and computes I2 from tau2.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check statsmodels==0.15.0 numpy==2.4.6
"$place/env/bin/python" -W error - <<'PY'
import numpy as np
import statsmodels
from statsmodels.stats.meta_analysis import combine_effects

effects, variances = np.array([0.0100, 0.0101, 0.0099, 0.0102]), np.full(4, 1e-4)
print("statsmodels", statsmodels.__version__)
narrower = {}
for method in ("dl", "pm"):
    found = combine_effects(effects, variances, method_re=method)
    fixed, random = (np.ptp(ends) for ends in found.conf_int()[:2])
    narrower[method] = fixed / random
    print(f"{method}: tau2 {found.tau2:.9f}, I2 {found.i2:.0f}, fixed interval {fixed:.5f} wide, random {random:.5f}")
    if method == "dl":
        negative = found.tau2 < 0
print(f"random narrower than fixed by a factor of {narrower['dl']:.0f} (dl) and {narrower['pm']:.0f} (pm)")
raise SystemExit(int(not (negative and narrower["dl"] > 50 and np.isclose(narrower["pm"], 1))))
PY
