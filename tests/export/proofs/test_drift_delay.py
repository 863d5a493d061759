"""How long the charts take to see a planted shift."""

import numpy as np
import pytest

from bmd_edge.errors import UsageError
from export.proofs.drift_delay import delay, in_control, older
from tests.calibration.drift.made_up_studies import REFERENCE, studies


def test_run_length_and_delay_on_pools() -> None:
    fresh = studies(1500, 9)
    control = in_control(REFERENCE, fresh)
    assert control["average_run_length"] >= 10_000
    assert control["low"] < control["average_run_length"] < (control["high"] or np.inf)
    shifted = studies(300, 10)
    shifted.facts[:, 3] += 10
    seen = delay(REFERENCE, fresh, shifted)
    assert seen["median"] <= seen["p90"] <= 30
    assert seen["p90_low"] <= seen["p90"] <= seen["p90_high"]
    assert delay(REFERENCE, fresh, fresh)["p90"] == "> 1000"
    assert older(fresh).facts[:, 0].mean() == pytest.approx(fresh.facts[:, 0].mean() + 10, abs=0.5)
    with pytest.raises(
        UsageError, match="in alarm before the shift: the bundle's reference is not of films like these"
    ):
        delay(REFERENCE, shifted, fresh)
