"""Headlines that quantization turns over, against the headlines that the runtime gives."""

import numpy as np
import pytest

from bmd_edge.bundle.calibration import PrecisionCalibration, SiteCalibration
from bmd_edge.bundle.error_budget import LIMITS
from bmd_edge.measure.estimate import estimates
from bmd_edge.measure.headline import headline
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow
from calibration.fit.headline_cuts import fit_headline_cuts
from export.int8.headline_shift import headline_shift
from export.int8.shift_in_gcm2 import JudgingHips, compare


def hips(n: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """DEXA and fp32 estimates (n, 2), every third subject with two hips."""
    rng = np.random.default_rng(seed)
    neck = rng.normal(0.66, 0.13, n).clip(0.35, 1.2)
    dexa = np.stack([neck, neck + rng.normal(0.12, 0.04, n)], 1)
    subjects = [f"S{k - (k % 3 == 1)}" for k in range(n)]
    return dexa, dexa + rng.normal(0, 0.05, dexa.shape), subjects


def as_the_runtime_says(bmd: np.ndarray, dexa: np.ndarray, subjects: list[str]) -> dict[str, str | None]:
    """Subject -> headline, by the runtime's own functions and the cuts that an export fits."""
    rows = [
        HipRow(film=f"{k}", subject=name, side="R", split="calibrate", age_years=70, sex="F", scale="hologic",
               bmd_gcm2=dict(zip(SITES, dexa[k].tolist(), strict=True)))
        for k, name in enumerate(subjects)
    ]  # fmt: skip
    points = fit_headline_cuts(rows, np.round(bmd, 4))
    numbers = PrecisionCalibration("0" * 64, {site: SiteCalibration(1.7, 0.9, 100) for site in SITES}, points)
    found: dict[str, list] = {}
    for name, values in zip(subjects, bmd.tolist(), strict=True):
        found.setdefault(name, []).extend(estimates(values, (0.05, 0.05), numbers, 70, "F"))
    return {name: headline(some, points) for name, some in found.items()}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [0.002, 0.01])
def test_turned_headlines_are_those_that_a_reader_sees(size: float, seed: int) -> None:
    dexa, fp32, subjects = hips(seed=seed)
    other = fp32 + np.random.default_rng(seed + 9).normal(0, size, fp32.shape)
    names = [f"f{k}" for k in range(len(subjects))]
    found = headline_shift(fp32, other, dexa, subjects, names, LIMITS)
    before, after = (as_the_runtime_says(one, dexa, subjects) for one in (fp32, other))
    turned = {name for name in before if before[name] != after[name]}
    assert found.subjects == len(set(subjects))
    assert {subjects[names.index(name)] for name in found.turned} == turned
    assert turned or size < 0.01


def test_what_nobody_sees_turns_nothing() -> None:
    """Estimates that differ below the fourth digit that is shown."""
    dexa, fp32, subjects = hips()
    fp32 = fp32.round(4)
    found = headline_shift(fp32, fp32 + 0.00004, dexa, subjects, subjects, LIMITS)
    assert not found.turned
    assert found.passed


def test_a_model_that_turns_headlines_is_outside_its_budget() -> None:
    """The neck of one hip in ten is moved below all cuts: few enough for nobody to be far off, too many headlines."""
    dexa, fp32, subjects = hips()
    other = fp32.copy()
    other[::10] = 0.4
    names = [f"f{k}" for k in range(len(subjects))]
    judged = JudgingHips(dexa, subjects, ["A"] * len(subjects), names, np.ones(len(subjects), bool))
    found = compare(fp32, other, judged)
    assert not found.passed
    assert any("subjects" in said and "another headline, allowed 3.0%" in said for said in found.failures())
    assert any("get another headline" in said for said in found.sentences())
    without = JudgingHips(dexa, subjects, ["A"] * len(subjects), names, np.zeros(len(subjects), bool))
    assert compare(fp32, fp32, without).headline is None  # nobody may have a T-score


def test_too_few_subjects_have_no_headline() -> None:
    dexa, fp32, subjects = hips(40)
    assert headline_shift(fp32, fp32, dexa, subjects, subjects, LIMITS) is None
