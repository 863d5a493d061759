from pathlib import Path

import numpy as np
import pytest

from bmd_edge.bundle.bundle import read_bundle
from export.bundle import calibration_films
from export.bundle.embedded import against_embedded
from export.int8.choose import answers
from tests.support.small_runs import write_cohort


def test_a_new_network_is_held_beside_the_embedded_one_by_subject(tmp_path: Path) -> None:
    """One that knows the labels, one that is the embedded one, and one that is far off."""
    _, judging = calibration_films.halves(write_cohort(tmp_path / "cohort"))
    embedded, label = read_bundle(), calibration_films.dexa(judging)
    images = list(calibration_films.batches(judging, spec=embedded.inputs["bmd"]))
    same = answers(embedded.model_path("bmd"), images).bmd
    rmse = np.sqrt(np.mean((same - label) ** 2, axis=0))

    better, level, worse = (against_embedded(bmd, judging, embedded) for bmd in (label, same, same + 3.0))
    for found in (better, level, worse):
        assert [one.embedded_gcm2.value for one in found.sites.values()] == pytest.approx(rmse.tolist())
        assert {(one.hips, one.subjects) for one in found.sites.values()} == {(44, 22)}
    assert [one.verdict for one in better.sites.values()] == ["better"] * 2
    assert len(list(better.sentences())) == 2
    assert [one.verdict for one in level.sites.values()] == ["not shown to be better"] * 2
    assert level.sites["total_hip"].difference_gcm2.value == 0
    assert [one.verdict for one in worse.sites.values()] == ["worse"] * 2
    for found in (level, worse):
        *sites, advice = found.sentences()
        assert len(sites) == 2
        assert "`bmd-edge calibrate` adapts the embedded bundle" in advice
    assert worse.facts()["sites"]["femoral_neck"]["difference_gcm2"]["low"] > 0
