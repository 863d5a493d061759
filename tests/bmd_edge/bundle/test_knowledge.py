"""What a manifest says of a network's knowledge: when it counts as shown, and what films get where it is not."""

from dataclasses import replace

import pytest

from bmd_edge.bundle.calibration import HeadlineCuts
from bmd_edge.bundle.knowledge import MOST, Knowledge, RmseAgainst, SiteKnowledge
from bmd_edge.measure.t_score import T_SCORE_REASONS
from bmd_edge.report.pages import SITE_NAMES
from bmd_edge.screen.screener import Screener
from tests.support.screening import drawn_bmd, drawn_bundle, drawn_finder, hip_dicom

MEAN = RmseAgainst((), 1000, 800, 0.06, 0.14, 0.43, 0.40, 0.46)
PERSON = replace(MEAN, knows=("age", "sex", "size of the hip"), baseline_rmse_gcm2=0.12, ratio=0.5, low=0.47, high=0.53)


@pytest.mark.parametrize(
    ("high", "shown"), [(0.46, True), (MOST - 1e-9, True), (MOST, False), (1.2, False), (None, False)]
)
def test_the_whole_interval_must_lie_below(high: float | None, shown: bool) -> None:
    assert replace(MEAN, high=high).shown is shown
    for site, code in (
        (SiteKnowledge(replace(MEAN, high=high), PERSON), "no_better_than_mean"),
        (SiteKnowledge(MEAN, replace(PERSON, high=high)), "no_better_than_person"),
    ):
        assert [found for found, _ in site.not_shown()] == ([] if shown else [code])
        knowledge = Knowledge({"fp32": {"femoral_neck": site, "total_hip": SiteKnowledge(MEAN, None)}}, None)
        assert knowledge.shown("fp32") is shown


def test_the_figures_are_said_with_their_interval_and_their_number() -> None:
    lines = list(Knowledge({"int8": {"femoral_neck": SiteKnowledge(MEAN, PERSON)}}, None).sentences())
    assert lines == [
        "femoral neck, int8: RMSE 0.060 g/cm2 against 0.140 of the mean of the other subjects,"
        " ratio 0.43 (0.40 to 0.46), 1000 hips of 800 subjects",
        "femoral neck, int8: RMSE 0.060 g/cm2 against 0.120 of age, sex and size of the hip, ratio 0.50 (0.47 to 0.53),"
        " 1000 hips of 800 subjects",
    ]
    assert "(no interval)" in replace(MEAN, low=None, high=None).sentence()


@pytest.mark.parametrize("shown", [True, False])
def test_without_it_no_film_has_a_t_score_or_a_headline(shown: bool) -> None:
    site = SiteKnowledge(MEAN, PERSON if shown else replace(PERSON, high=1.01))
    bundle = drawn_bundle()
    cuts = {"fp32": replace(bundle.calibration["fp32"], operating_points=HeadlineCuts(-2.5, -1.5, 100, 300))}
    knowledge = Knowledge({"fp32": dict.fromkeys(SITE_NAMES, site)}, "a course")
    bundle = replace(bundle, calibration=cuts, manifest=replace(bundle.manifest, knowledge=knowledge))
    with Screener(bundle, engines={"finder": drawn_finder(), "bmd": drawn_bmd()}) as screener:
        report = screener.read(hip_dicom("R"))
    (hip,) = report.hips
    assert (report.band is not None) is shown
    for one in hip.estimates:
        assert one.bmd_gcm2 > 0
        assert (one.t_score is not None) is shown
        assert one.t_score_reason == (None if shown else "not_shown")
    assert "not shown to know more" in T_SCORE_REASONS["not_shown"]
