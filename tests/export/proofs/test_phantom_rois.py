from dataclasses import replace
from pathlib import Path

import numpy as np

from export.proofs.phantom_rois import answers_of, named
from tests.support.bundles import tiny_bundle
from tests.support.stand_in import roi_row


def test_results_name_no_place_of_this_machine() -> None:
    assert named("/home/someone/cohort/films.csv:test") == "cohort/films.csv:test"
    assert named("--fresh") == "--fresh"


def test_dexa_of_another_scale_is_converted(tmp_path: Path) -> None:
    """T = -1 of a Lunar scanner is T = -1 of a Hologic one."""
    bmd = {"femoral_neck": (0.821 + 0.023) / 0.939, "total_hip": (0.832 + 0.031) / 0.979}
    row = roi_row(tmp_path, 0)
    row = replace(row, film_path=tmp_path / row.film, bmd_gcm2=bmd, scale="lunar")
    found = answers_of(tiny_bundle(tmp_path / "bundle"), "fp32", [row])
    np.testing.assert_allclose(found.dexa, [[(0.821 - 0.019) / 1.087, (0.832 - 0.006) / 1.008]], atol=1e-9)
