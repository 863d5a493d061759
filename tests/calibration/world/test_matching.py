"""Which hip of a report is which hip of the table."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from bmd_edge.report.film_report import HipReport
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow
from calibration.world.matching import landmark_errors, match
from calibration.world.truth import Truth
from tests.calibration.world.test_figures import part
from tests.calibration.worlds import Made, made


def test_without_landmarks_hips_are_matched_by_side(tmp_path):
    some = made(seed=5)
    facts, hips = some.without_landmarks().scored(tmp_path)
    assert facts["matched_by"] == "side"
    for true, hip in zip(some.hips, hips, strict=True):
        film = next(one for one in some.films if one.film == true.row.film).reports["int8"]
        same = [one for one in film.hips if one.side == true.row.side]
        assert hip.read == bool(same and same[0].estimates)
    assert part(facts, "all", "hips")["landmarks"]["core"]["n"] == 0
    assert facts["wrong_side"] == 0


def test_any_number_on_a_film_without_a_hip_is_false(tmp_path):
    some = made(seed=7, subjects=6)
    rows = [replace(hip.row, bmd_gcm2=dict.fromkeys(SITES), scale=None, extra={"x_status": "not_a_hip"})
            for hip in some.hips if hip.row.side == "R"]  # fmt: skip
    numbers = [any(hip.estimates for hip in film.reports["int8"].hips) for film in some.films]
    assert 0 < sum(numbers) < len(numbers)
    none = Made([replace(some.hips[0], row=row) for row in rows], some.films)
    facts, _ = none.scored(tmp_path, "real")
    assert facts["false_reads"] == {"hips": len(numbers), "read": sum(numbers)}
    assert facts["stray_numbers"] == 0
    assert facts["groups"] == []
    codes = Counter(film.reports["int8"].reason for film in some.films if film.reports["int8"].reason)
    assert facts["statuses"][0]["codes"] == codes


def test_landmark_errors_are_in_mm_of_the_pixels_across_and_down():
    true = {"head_center": (100.0, 100.0), "neck_center": (100.0, 300.0), "shaft_proximal": (0.0, 0.0)}
    true |= {"shaft_distal": (20.0, 0.0), "greater_trochanter": (50.0, 60.0)}
    found = {"head_center": (103.0, 104.0), "neck_center": (110.0, 350.0), "shaft_distal": (20.0, 9.0)}
    errors = landmark_errors(found, true, (0.1, 0.2))
    assert errors == pytest.approx({"head_center": np.hypot(0.3, 0.8), "neck_center": 1.0})
    assert landmark_errors(found, true, (1.0, 1.0))["shaft_distal"] == pytest.approx(9.0)


@pytest.mark.parametrize("turned", [(False, False), (False, True), (True, False), (True, True)])
def test_the_nearest_hip_is_taken_first_in_mm_of_the_film(turned):
    """12 mm apart, where the first found lies 1 mm from one and 11 mm from the other, and the second 24 mm away."""
    heads, found = {"R": (100.0, 100.0), "L": (220.0, 100.0)}, [(210.0, 100.0), (100.0, 220.0)]
    sides = "LR" if turned[0] else "RL"
    hips = [
        HipReport(side="R", status="refused", reason="fracture", landmarks_px={"head_center": at}, box_px=None,
                  estimates=())
        for at in (found[::-1] if turned[1] else found)
    ]  # fmt: skip
    film = made(subjects=1).films[0]
    film.reports["int8"] = replace(film.reports["int8"], hips=tuple(hips), spacing_mm=(0.2, 0.1))
    rows = [HipRow(film=film.film, subject="S", side=side, split="test") for side in sides]
    truths = [Truth("intact", {"head_center": heads[side]}, None, None) for side in sides]
    matched_, left = match(rows, truths, film, "int8", by_head=True)
    assert left == 0
    errors = {hip.pair.side: hip.errors_mm["head_center"] for hip in matched_}
    assert errors == pytest.approx({"R": 24.0, "L": 1.0})
