#!/usr/bin/env bash
# statsmodels 0.15.0: the limits of agreement that mean_diff_plot draws are narrower than Bland and Altman's.
#
# Guess: the lines stand at the mean difference +- 1.96 SD of the differences, the SD that of a sample (divisor n - 1),
# as Bland and Altman (Lancet 1986;i:307-310) define them.
# Seen: the divisor is n. With the 6 pairs below the half width is 8.7 % too small; with 30 pairs it is 1.7 %.
# So lines read off this plot are no acceptance limits of a small study; compute them beside it.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check \
  statsmodels==0.15.0 numpy==2.4.6 matplotlib==3.11.2
MPLBACKEND=Agg "$place/env/bin/python" - <<'PY'
import numpy as np
import statsmodels
from statsmodels.graphics.agreement import mean_diff_plot

dxa = np.array([0.62, 0.71, 0.80, 0.85, 0.93, 1.01])
film = np.array([0.66, 0.69, 0.83, 0.80, 0.95, 0.99])
axes = mean_diff_plot(film, dxa).axes[0]
heights = sorted(line.get_ydata()[0] for line in axes.lines)
drawn = (heights[-1] - heights[0]) / 2
sample, population = (1.96 * np.std(film - dxa, ddof=ddof) for ddof in (1, 0))
print("statsmodels", statsmodels.__version__)
print(f"half width drawn {drawn:.4f}; with divisor n - 1 {sample:.4f}, with n {population:.4f}")
print(f"narrower by {1 - drawn / sample:.1%}")
raise SystemExit(int(not np.isclose(drawn, population) or np.isclose(drawn, sample)))
PY
