"""The words of the picture."""

from dataclasses import replace

from bmd_edge.clinic.objects.panel import cautions, footer, results
from bmd_edge.errors import REFUSALS
from tests.bmd_edge.clinic.objects.said import APPROVAL, OCCASION, said_of, second
from tests.support.screening import NOTICE, hip_dicom


def words(film: bytes) -> list[str]:
    return [line.text for line in results(said_of(film)[0])]


def test_each_hip_has_its_numbers_with_the_interval_beside() -> None:
    report, _ = said_of(hip_dicom("RL"))
    said = [line.text for line in results(report)]
    assert said.index("RIGHT HIP") < said.index("LEFT HIP")
    for hip in report.hips:
        for one, name in zip(hip.estimates, ("neck", "total"), strict=True):
            at = said.index(f"{hip.side} {name} {one.bmd_gcm2:.3f} g/cm2, T {one.t_score:+.1f}")
            assert said[at + 1] == f"90 % interval {one.low_gcm2:.3f} to {one.high_gcm2:.3f} g/cm2"


def test_no_headline_and_no_t_score_have_their_reason() -> None:
    said = words(hip_dicom("R", PatientAge=None))
    assert said[0].startswith("No headline.")
    assert "No T-score: age unknown." in said
    assert not any(", T " in line for line in said)


def test_a_refusal_of_film_or_hip_is_said_once_with_its_remedy() -> None:
    for film, code in ((hip_dicom(""), "not_a_hip"), (hip_dicom("R", implant="R"), "implant")):
        said = words(film)
        assert said.count(f"No number: {REFUSALS[code].sentence}") == 1
        assert said.count(REFUSALS[code].remedy) == 1
    assert sum("bmd-edge clinic send --film ID" in line for line in words(hip_dicom("R", ImagerPixelSpacing=None))) == 1
    beside = words(hip_dicom("RL", implant="L"))
    assert beside.index("LEFT HIP") < beside.index(f"No number: {REFUSALS['implant'].sentence}")


def test_every_caution_is_said_once() -> None:
    report, _ = said_of(hip_dicom("RL", EstimatedRadiographicMagnificationFactor=None))
    said = [line.text for line in cautions(report)]
    assert any("Magnification not stated" in line for line in said)
    assert len(said) == len(set(said))


def test_approval_bundle_notice_and_version_stand_below() -> None:
    report, made = said_of(hip_dicom("R"))
    said = [line.text for line in footer(report, second(made, "recalibrated"))]
    assert said[:2] == [f"Approval {APPROVAL}", "Version 2, replaces 1: recalibrated"]
    assert any(report.bundle in line and report.bundle_digest[:8] in line for line in said)
    assert NOTICE in said
    assert "Research use only" in said[-1]
    bare = replace(OCCASION, box=replace(OCCASION.box, approval=""))
    assert "No approval named" in [line.text for line in footer(report, bare)]
    assert "recalibration deadbeef" in footer(replace(report, recalibration="deadbeef" * 8), OCCASION)[1].text


def test_nothing_says_normal() -> None:
    assert "normal" not in " ".join(words(hip_dicom("RL", bone=3600))).lower()
