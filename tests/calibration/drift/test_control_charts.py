"""Run lengths against published ones."""

import numpy as np
import pytest

from calibration.drift import control_charts
from calibration.drift.control_charts import t2, with_limits
from calibration.drift.watched_features import measure
from tests.calibration.drift.made_up_studies import studies


# (dimensions, weight, limit on T2, average run length in control)
# p = 1: Lucas & Saccucci, Technometrics 1990;32:1-12, L = 2.814 and 2.615; p = 2, 4: Prabhu & Runger, J Qual Technol
# 1997;29:8-15
@pytest.mark.parametrize(
    ("p", "weight", "limit", "arl"),
    [(1, 0.10, 2.814**2, 500), (1, 0.05, 2.615**2, 500), (2, 0.10, 8.64, 200), (4, 0.10, 12.73, 200)],
)
def test_run_lengths_are_those_published(p: int, weight: float, limit: float, arl: int, monkeypatch) -> None:
    monkeypatch.setattr(control_charts, "WEIGHT", weight)
    rng = np.random.default_rng(p)
    values, _ = t2(rng.normal(0, 1, (8 * arl, 600, p)))
    over = values > limit
    lengths = np.where(over.any(0), over.argmax(0) + 1, 8 * arl)
    assert lengths.mean() == pytest.approx(arl, rel=0.13)  # about three standard errors


def test_the_limits_keep_what_they_aim_at(monkeypatch) -> None:
    monkeypatch.setattr(control_charts, "ARL_AIMED", 1_000)
    seen = studies(3000, 3)
    reference = measure(seen)
    assert reference is not None
    limited = with_limits(reference, seen)
    fresh = limited.scores(studies(20_000, 4))
    values = {name: t2(scores)[0] > limited.watched[name].limit for name, scores in fresh.items()}
    starts = {name: int(np.sum(over[1:] & ~over[:-1])) for name, over in values.items()}
    # each chart is aimed at 3,000, so about 6.7 alarms in 20,000 studies (they come in clusters)
    assert 4 <= sum(starts.values()) <= 45, starts
