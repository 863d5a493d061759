"""A recalibration in the runtime: bound to its bundle, applied to every number, gone when it is left out."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from bmd_edge.bundle.calibration import HeadlineCuts
from bmd_edge.errors import BundleError
from bmd_edge.measure.network_answer import NetworkAnswer
from bmd_edge.measure.recalibration import NO_HEADLINE, SCHEMA, RecalibrationFile, RecalibrationLine, open_recalibration
from bmd_edge.screen.run import screen_folder
from bmd_edge.screen.screener import Screener
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow
from calibration.fit import recalibration as workshop
from tests.support.screening import drawn_bmd, drawn_bundle, drawn_finder, drawn_screener, hip_dicom

LINES = {
    "femoral_neck": RecalibrationLine(1.1, -0.05, 2.0, 0.9, 60, 40),
    "total_hip": RecalibrationLine(0.95, 0.01, 1.5, 0.9, 60, 40),
}


def recalibration_file(folder: Path, **changes: object) -> Path:
    whole = RecalibrationFile(
        SCHEMA, drawn_bundle().digest, "ab" * 32, {"hologic": 60}, {"fp32": LINES}, {"fp32": None}
    )
    path = folder / "recalibration.json"
    path.write_text(json.dumps(asdict(whole) | changes))
    return path


def test_every_number_follows_the_line_of_its_site(tmp_path: Path) -> None:
    film = hip_dicom("R")
    with drawn_screener() as plain, drawn_screener(recalibration=recalibration_file(tmp_path)) as local:
        before, after = plain.read(film), local.read(film)
        assert plain.settings_digest != local.settings_digest
        assert after.recalibration == local.recalibration.digest
    assert before.recalibration is None
    for old, new in zip(before.hips[0].estimates, after.hips[0].estimates, strict=True):
        line = LINES[old.site]
        expected = line.intercept_gcm2 + line.slope * old.bmd_gcm2
        assert new.bmd_gcm2 == pytest.approx(expected, abs=2e-4)
        # half of the interval, squared, less what the spread (.03, conformal scale 1.7) gives: the doubt of the scale
        doubt = (old.high_gcm2 - old.bmd_gcm2) ** 2 - (1.7 * 0.03) ** 2
        half = line.slope * np.sqrt((line.scale * 0.03) ** 2 + doubt)
        assert new.high_gcm2 - new.bmd_gcm2 == pytest.approx(half, abs=3e-4)
    assert after.hips[0].network == before.hips[0].network  # what the network itself said stays known


def headline_screener(**settings: object) -> Screener:
    """A screener of a bundle with operating points: any film is suspected to be low."""
    bundle = drawn_bundle()
    points = HeadlineCuts(9.0, 9.0, 30, 30)
    calibration = {name: replace(one, operating_points=points) for name, one in bundle.calibration.items()}
    engines = {"finder": drawn_finder(), "bmd": drawn_bmd()}
    return Screener(replace(bundle, calibration=calibration), engines=engines, **settings)


def test_the_headline_follows_the_recalibrations_cuts_only(tmp_path: Path) -> None:
    """The bundle's cuts promise their sensitivity for estimates that nothing has corrected."""
    film = hip_dicom("R")
    with headline_screener() as plain:
        assert plain.read(film).band == "low_suspected"
        assert NO_HEADLINE not in plain.setup.notice
    with headline_screener(recalibration=recalibration_file(tmp_path)) as without:
        assert without.read(film).band is None
        assert without.setup.notice.endswith(NO_HEADLINE)
    own = {"fp32": asdict(HeadlineCuts(-9.0, -9.0, 40, 50))}
    with headline_screener(recalibration=recalibration_file(tmp_path, operating_points=own)) as local:
        assert local.read(film).band == "not_suspected"
        assert NO_HEADLINE not in local.setup.notice


def test_a_run_says_why_it_has_no_headline(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.dcm").write_bytes(hip_dicom("R"))
    with headline_screener(recalibration=recalibration_file(tmp_path)) as screener:
        screen_folder(screener, tmp_path / "films", tmp_path / "out")
    assert NO_HEADLINE in json.loads((tmp_path / "out" / "run.json").read_text())["notice"]
    assert NO_HEADLINE in (tmp_path / "out" / "report" / "index.html").read_text()


def test_cuts_are_fitted_on_what_the_line_corrected() -> None:
    """A network that reads 0.1 g/cm2 too high: cuts on its own estimates would lie 0.8 T too high."""
    rng, n = np.random.default_rng(1), 200
    dexa = rng.uniform(0.45, 0.95, n)
    answers = [NetworkAnswer((value + 0.1,) * 2, (0.03,) * 2, (), ()) for value in dexa + rng.normal(0, 0.005, n)]
    rows = [
        HipRow(film=f"{k}.dcm", subject=f"P{k:03}", side="R", split="calibrate", age_years=70.0, sex="F",
               bmd_gcm2=dict.fromkeys(SITES, round(value, 4)), scale="hologic")
        for k, value in enumerate(dexa)
    ]  # fmt: skip
    rows[0] = replace(rows[0], bmd_gcm2={"femoral_neck": 0.7, "total_hip": None})  # a subject who may be low there
    fits = workshop.fit_sites_of(rows, answers)
    points = workshop.fit_cuts(rows, answers, fits)
    assert points is not None
    assert points.cases + points.others == n - 1
    assert points.low_suspected_t == points.refer_for_dxa_t == pytest.approx(-2.5, abs=0.15)
    for k in (3, 40):
        others = [index for index in range(n) if index != k]
        line = workshop.fit_sites_of([rows[i] for i in others], [answers[i] for i in others])["femoral_neck"].line
        judged = line.intercept_gcm2 + line.slope * answers[k].bmd_gcm2[0]
        assert fits["femoral_neck"].left_out_gcm2[k] == pytest.approx(judged, abs=1e-12)
    few = [replace(row, age_years=None) if row.bmd_gcm2["femoral_neck"] < 0.62 else row for row in rows]
    assert workshop.fit_cuts(few, answers, fits) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bundle_digest": "cd" * 32}, "made for another bundle"),
        ({"schema": 1}, "no recalibration of this version: make it anew with `bmd-edge calibrate`"),
        ({"surprise": 1}, "unknown key 'surprise'"),
        ({"precisions": {}}, "holds no numbers for fp32"),
        ({"operating_points": {}}, "holds no numbers for fp32"),
        ({"operating_points": {"fp32": asdict(HeadlineCuts(-1.0, -2.0, 30, 30))}}, "in the wrong order"),
        ({"precisions": {"fp32": {"total_hip": asdict(LINES["total_hip"])}}}, "do not cover the sites"),
        ({"precisions": {"fp32": {s: asdict(replace(LINES[s], slope=1.5)) for s in SITES}}}, "out of bounds"),
        ({"precisions": {"fp32": {s: asdict(replace(LINES[s], intercept_gcm2=0.3)) for s in SITES}}}, "out of bounds"),
        ({"precisions": {"fp32": {s: asdict(replace(LINES[s], scale=0.0)) for s in SITES}}}, "out of bounds"),
    ],
)
def test_a_recalibration_that_does_not_fit_is_refused(changes: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=message):
        open_recalibration(recalibration_file(tmp_path, **changes), drawn_bundle())


def test_a_file_that_is_no_recalibration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        open_recalibration(tmp_path / "missing.json", drawn_bundle())
    (tmp_path / "text.json").write_text("hello")
    with pytest.raises(BundleError, match="not valid JSON"):
        open_recalibration(tmp_path / "text.json", drawn_bundle())


def test_a_file_of_schema_2_opens_as_before(tmp_path: Path) -> None:
    """The keys are those of the files that clinics have, whatever the code calls them."""
    line = {"slope": 1.1, "intercept_gcm2": -0.05, "scale": 2.0, "coverage": 0.9, "hips": 60, "subjects": 40}
    kept = {
        "schema": 2, "bundle_digest": drawn_bundle().digest, "table_sha256": "ab" * 32, "scales": {"hologic": 60},
        "precisions": {"fp32": {"femoral_neck": line, "total_hip": line}}, "operating_points": {"fp32": None},
    }  # fmt: skip
    (tmp_path / "site.json").write_text(json.dumps(kept))
    opened = open_recalibration(tmp_path / "site.json", drawn_bundle())
    assert opened.file.precisions["fp32"]["total_hip"].slope == 1.1
    workshop.write_recalibration(tmp_path / "again.json", opened.file)
    assert json.loads((tmp_path / "again.json").read_text()) == kept
