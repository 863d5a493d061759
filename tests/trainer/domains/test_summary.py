"""Which trial and which rows go on."""

from typing import Any

import numpy as np
import pytest

from trainer.domains.design import NONE, STATISTICS, VALIDATION, Size
from trainer.domains.summary import chosen, curve_rows, summary


def unit(row: str, rmse: float, trial: int = 0, domain: str = VALIDATION, **more: Any) -> dict[str, Any]:
    facts = {"row": row, "trial": trial, "domain": domain, "films": 1000, "seed": 0, "changes": {}, "minutes": 1.0}
    both = {"femoral_neck": rmse, "total_hip": rmse}
    return facts | {"rmse_gcm2": both, "source_rmse_gcm2": both} | more


def test_the_trial_with_the_least_error_on_the_validation_domain_is_kept() -> None:
    units = [unit(STATISTICS, 0.1), unit(STATISTICS, 0.09, 1), unit("coral", 0.08, 2), unit("coral", 0.07, 3)]
    units += [unit("paper", 0.072), unit("paper", 0.01, 1, domain="makers")]  # what judges chooses nothing
    assert chosen(units) == {STATISTICS: 1, "coral": 3, "paper": 0}
    assert curve_rows(units) == (STATISTICS, "coral")


def test_rows_are_means_over_seeds_and_differences_are_paired() -> None:
    rng = np.random.default_rng(0)
    label = rng.normal(0.7, 0.15, (60, 2))
    hips = {
        name: {
            "subject": [f"S{k // 2}" for k in range(60)],
            "labels_gcm2": label.tolist(),
            "population": ["screening", "screening", "wide", "wide"] * 15,
        }
        for name in ("makers", "chains")
    }

    def measured(row: str, error: float, seed: int) -> dict[str, Any]:
        bmd = label + error * np.random.default_rng(seed).normal(size=label.shape)
        more = {"estimates_gcm2": bmd.tolist(), "half_gcm2": np.full((60, 2), 0.1).tolist(), "seed": seed}
        return unit(row, error, domain="makers", **(more | {"films": 0 if row == NONE else 1000}))

    units = [unit(STATISTICS, 0.08)]
    units += [measured(row, error, seed) for row, error in ((NONE, 0.1), (STATISTICS, 0.05)) for seed in (0, 1)]
    found = summary(units, hips, Size(rows=(STATISTICS,)), "command")
    rows = {(one["row"], one["site"]): one for one in found["rows"] if one["population"] == "both"}
    screening = {(one["row"], one["site"]): one for one in found["rows"] if one["population"] == "screening"}
    both = ("femoral_neck", "total_hip")
    assert set(rows) == set(screening) == {(row, site) for row in (NONE, STATISTICS) for site in both}
    for site, column in (("femoral_neck", 0), ("total_hip", 1)):
        one = rows[STATISTICS, site]
        errors = np.array([one["estimates_gcm2"] for one in units[3:]])[:, :, column] - label[:, column]
        assert (one["seeds"], one["n"], screening[STATISTICS, site]["n"]) == (2, 60, 30)
        of_screening = errors[:, np.arange(60) % 4 < 2]
        expected = np.sqrt((of_screening**2).mean(1)).mean()
        assert screening[STATISTICS, site]["rmse_gcm2"] == pytest.approx(expected, abs=1e-4)
        assert one["rmse_gcm2"] == pytest.approx(np.sqrt((errors**2).mean(1)).mean(), abs=1e-4)
        assert one["coverage"] == pytest.approx(np.mean(np.abs(errors) <= 0.1), abs=1e-4)
        assert one["less_none"]["percent"] == pytest.approx(-50, abs=0.5)  # the same draws, half as large
        assert one["less_none"]["high"] < 0
        assert one["less_none"]["coverage_drop"]["value"] < 0
    assert found["synthetic"] is True
    assert found["learning_curve"] == []
