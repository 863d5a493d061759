#!/usr/bin/env bash
# methcomp 1.0.0: its Deming slope stays the same when the films' values are dealt out to other patients.
#
# Guess: the slope follows from both variances and the covariance (Deming's formula, as in Linnet, Clin Chem
# 1998;44:1024-1031), so that values that no longer belong together have none worth drawing.
# Seen: the variance of the second method stands where the covariance belongs. The slope says how far the two methods
# spread, never whether they agree, and is too low for pairs with noise: here 1.25 where the formula gives 1.42.
# So it is no check of a film estimate against DXA.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check \
  methcomp==1.0.0 numpy==2.4.6 scipy==1.17.1 pandas==3.0.1 statsmodels==0.15.0 matplotlib==3.11.2
MPLBACKEND=Agg "$place/env/bin/python" - <<'PY'
from importlib.metadata import version

import matplotlib.pyplot as plt
import numpy as np
from methcomp import deming


def drawn(dxa: np.ndarray, film: np.ndarray) -> float:
    axes = deming(dxa, film, bootstrap=None, ax=plt.figure().gca())
    return float(np.polyfit(*axes.lines[-1].get_data(), 1)[0])


print("methcomp", version("methcomp"))
rng = np.random.default_rng(0)
dxa = rng.uniform(0.4, 1.1, 40)
film = dxa + rng.normal(0, 0.15, 40)
(of_dxa, both), (_, of_film) = np.cov(dxa, film)
formula = (of_film - of_dxa + np.sqrt((of_film - of_dxa) ** 2 + 4 * both**2)) / (2 * both)
paired, dealt = drawn(dxa, film), drawn(dxa, rng.permutation(film))
print(f"slope drawn {paired:.3f}, after dealing the films out anew {dealt:.3f}; by the formula {formula:.3f}")
raise SystemExit(int(not np.isclose(paired, dealt) or np.isclose(paired, formula, rtol=0.02)))
PY
