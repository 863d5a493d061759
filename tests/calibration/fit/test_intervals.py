import numpy as np
import pytest

from calibration.fit.intervals import fit_sites


def test_each_site_uses_its_own_labelled_hips() -> None:
    rng = np.random.default_rng(0)
    dexa = rng.uniform(0.5, 1, (40, 2))
    bmd = dexa + np.array([0.01, 0.03])
    dexa[:15, 1] = np.nan
    fitted = fit_sites(bmd, np.full((40, 2), 0.02), dexa, ("femoral_neck", "total_hip"))
    assert fitted["femoral_neck"].scale == pytest.approx(0.5)
    assert fitted["total_hip"].scale == pytest.approx(1.5)
    assert (fitted["femoral_neck"].n, fitted["total_hip"].n, fitted["total_hip"].coverage) == (40, 25, 0.9)


def test_the_worst_group_is_covered_too() -> None:
    """One film in six is of a maker whose estimates err twice as far: the mixture's interval holds 73 % of them."""
    rng = np.random.default_rng(1)
    maker = np.array(["near", "far", "near", "near", "near", "near"] * 500)
    error = rng.normal(0.0, np.where(maker == "far", 0.08, 0.04))[:, None]
    dexa, spread = np.full((3000, 1), 0.8), np.full((3000, 1), 0.04)
    fit = lambda **more: fit_sites(dexa + error, spread, dexa, ("total_hip",), **more)["total_hip"].scale  # noqa: E731
    inside = lambda scale, name: float((abs(error[maker == name]) <= scale * 0.04).mean())  # noqa: E731
    assert inside(fit(), "far") < 0.78
    assert 0.85 <= inside(fit(groups=maker.tolist()), "far") < 0.87
    few = ["rare" if n < 40 else "common" for n in range(3000)]
    assert fit(groups=few) == fit(groups=["all"] * 3000)
