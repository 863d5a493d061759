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
