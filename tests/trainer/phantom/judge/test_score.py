"""The score of a bundle: which films, what counts as found and refused, and the figures against other libraries."""

import io
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from scipy import stats

from bmd_edge.bundle.manifest import LANDMARKS
from bmd_edge.errors import BundleError, UsageError
from bmd_edge.film.read import read_film
from bmd_edge.measure.estimate import Estimate
from bmd_edge.report.film_report import FilmReport, HipReport
from tests.support.bundles import tiny_bundle
from trainer.phantom.film.film import film
from trainer.phantom.film.scene import FilmSpec
from trainer.phantom.judge import score
from trainer.phantom.judge.reduced_decoding import compare
from trainer.phantom.judge.repeatability import repeatability
from trainer.phantom.judge.score import HipScore, kept_film, silent_dicom, specs, summary

SEEN = HipScore(
    "intact", "bmd", "R", "R", "read", None, (1.0,) * 6, (0.7, 0.8), (0.7, 0.8), (0.7, 0.8), (0.6, 0.7), (0.8, 0.9)
)


def test_films_of_two_seeds_are_different_and_reproducible():
    first, again, other = specs(300, 7), specs(300, 7), specs(300, 8)
    assert first == again
    assert not {spec.seed for spec in first} & {spec.seed for spec in other}
    assert {spec.case for spec in first} == {"intact", *score.REFUSAL_CASES}
    assert {spec.kind for spec in first} == {"hip", "pelvis"}


def test_agreement_is_what_scipy_says():
    rng = np.random.default_rng(3)
    label = rng.normal(0.7, 0.14, 200)
    estimate = label + rng.normal(0.02, 0.05, 200)
    hips = [
        replace(SEEN, label_gcm2=(x, x), estimate_gcm2=(y, y), low_gcm2=(y - 0.08,) * 2, high_gcm2=(y + 0.08,) * 2)
        for x, y in zip(label, estimate, strict=True)
    ]
    figures = summary(hips)["bmd"]["femoral_neck"]
    fit = stats.linregress(estimate, label)
    assert figures["r"] == pytest.approx(fit.rvalue, abs=1e-4)
    assert figures["slope"] == pytest.approx(fit.slope, abs=1e-4)
    assert figures["rmse_gcm2"] == pytest.approx(np.sqrt(np.mean((estimate - label) ** 2)), abs=1e-4)
    assert figures["bias_gcm2"] == pytest.approx(np.mean(estimate - label), abs=1e-4)
    inside = np.abs(estimate - label) <= 0.08
    assert figures["coverage_of_90_percent_interval"] == pytest.approx(inside.mean(), abs=1e-4)


def test_shares_count_what_their_names_say():
    missed = replace(SEEN, found_side=None, status="refused", reason="not_a_hip", landmark_errors_mm=())
    turned = replace(SEEN, found_side="L", estimate_gcm2=(0.6, 0.9))
    refused = replace(SEEN, status="refused", reason="implant")
    wide = replace(SEEN, pose="wide", status="refused", reason="wrong_view")
    implant_read = replace(SEEN, case="implant")
    implant_refused = replace(SEEN, case="implant", status="refused", reason="implant")
    figures = summary([SEEN, SEEN, missed, turned, refused, wide, implant_read, implant_refused])
    assert figures["n_intact_hips"] == 6
    assert figures["found_share"] == pytest.approx(5 / 6, abs=1e-4)
    assert figures["side_right_share"] == pytest.approx(4 / 5, abs=1e-4)
    assert figures["good_hips_refused_share"] == pytest.approx(2 / 5, abs=1e-4)
    assert figures["good_hips_refused_reasons"] == {"implant": 1, "not_a_hip": 1}
    assert figures["wide_pose_hips_refused_share"] == 1
    assert figures["refusal_cases_refused_share"] == 0.5
    assert figures["refusal_cases"]["implant"] == {"n": 2, "refused_share": 0.5, "reasons": {"implant": 1}}


def test_a_share_of_nothing_is_not_a_number():
    assert summary([SEEN])["refusal_cases_refused_share"] is None


@pytest.fixture(scope="module")
def made():
    return film(FilmSpec(seed=11, kind="pelvis", pixel_mm=0.9))


def test_the_header_of_a_scored_film_gives_nothing_away(made):
    dataset = pydicom.dcmread(io.BytesIO(silent_dicom(made)))
    for keyword in ("BodyPartExamined", "ViewPosition", "ImageLaterality", "PatientAge", "PatientBirthDate"):
        assert keyword not in dataset
    assert np.array_equal(read_film(silent_dicom(made)).stored, made.pixels)


def report(hips: tuple[HipReport, ...]) -> FilmReport:
    return FilmReport(
        file=None, film_id="0" * 16, status="read", reason=None, bundle="b", bundle_digest="d", device="cpu",
        precision="fp32", hips=hips,
    )  # fmt: skip


def reported(made, side: str, shift_px: float, status: str = "read") -> HipReport:
    (hip,) = (hip for hip in made.hips if hip.side == side)
    points = {name: (x + shift_px, y) for name, (x, y) in hip.landmarks_px.items()}
    numbers = tuple(
        Estimate(
            site=s, bmd_gcm2=0.7, low_gcm2=0.6, high_gcm2=0.8, t_score=None, t_score_reason="age_unknown", flags=()
        )
        for s in ("femoral_neck", "total_hip")
    )
    return HipReport(side=side, status=status, reason=None, landmarks_px=points, box_px=None, estimates=numbers)


class Reader:
    """Stands for the screener: gives the report it was told to."""

    def __init__(self, answer: FilmReport) -> None:
        self.answer = answer

    def read(self, _: bytes) -> FilmReport:
        return self.answer


def scored(monkeypatch, folder, made, hips: tuple[HipReport, ...]) -> list[HipScore]:
    monkeypatch.setattr(score, "film", lambda _: made)
    monkeypatch.setattr(score, "_screener", Reader(report(hips)))
    return score.score_film(made.spec, folder)


def test_a_film_is_made_once(monkeypatch, tmp_path, made):
    monkeypatch.setattr(score, "film", lambda _: made)
    first = kept_film(made.spec, tmp_path)
    monkeypatch.setattr(score, "film", None)
    again = kept_film(made.spec, tmp_path)
    assert first == again
    for kept, hip in zip(again.hips, made.hips, strict=True):
        points = {name: list(point) for name, point in hip.landmarks_px.items()}  # JSON has no tuples
        assert kept == replace(hip, landmarks_px=points)
    assert np.array_equal(read_film(again.dicom).stored, made.pixels)


def test_hips_are_matched_by_place(monkeypatch, tmp_path, made):
    scores = scored(monkeypatch, tmp_path, made, (reported(made, "L", 4.0), reported(made, "R", 2.0)))
    assert {s.side: s.found_side for s in scores} == {"R": "R", "L": "L"}
    errors = {s.side: s.landmark_errors_mm for s in scores}
    assert errors["R"] == pytest.approx([2.0 * made.spacing_mm] * len(LANDMARKS))
    assert errors["L"] == pytest.approx([4.0 * made.spacing_mm] * len(LANDMARKS))


def test_a_number_where_no_hip_is_counts_against_the_bundle(monkeypatch, tmp_path, made):
    astray = 70 / made.spacing_mm
    scores = scored(monkeypatch, tmp_path, made, (reported(made, "R", astray),))
    stray = [s for s in scores if s.case == "not_a_hip"]
    assert [s.status for s in stray] == ["read"]
    assert all(s.found_side is None for s in scores if s.case == "intact")


@pytest.mark.parametrize(
    ("made", "arguments"),
    [
        (score.score, {"n": 1, "seed": 7}),
        (repeatability, {"subjects": 1, "poses": 2, "seed": 7}),
        (compare, {"n": 1, "seed": 7, "pixel_mm": 0.1, "workers": 1}),
    ],
    ids=["score", "repeatability", "reduced"],
)
def test_a_bundle_that_cannot_be_opened_is_said_before_a_process_is_started(tmp_path, monkeypatch, made, arguments):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(BundleError, match=r"nothere.* no bundle here"):
        made(tmp_path / "nothere", precision="auto", progress=lambda: None, **arguments)
    with pytest.raises(UsageError, match="--precision: 'int9' is not one of auto, fp32, int8"):
        made(tiny_bundle(tmp_path / "tiny").root, precision="int9", progress=lambda: None, **arguments)
