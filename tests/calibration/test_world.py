"""`bmd-edge world`: every figure recomputed by hand with numpy and scipy from hips whose fate is known."""

import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import bmd_edge
from bmd_edge.bundle.manifest import LANDMARKS
from bmd_edge.cli.main import main
from bmd_edge.errors import TableError, UsageError
from bmd_edge.report.film_report import HipReport
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow, write_table
from calibration.statistics.bootstrap import RESAMPLES, SEED
from calibration.statistics.quantiles import quantile
from calibration.validate.page import said
from calibration.world.figures import CORE, MIN_SUBJECTS
from calibration.world.matching import landmark_errors, match
from calibration.world.page import FIGURES, write_page
from calibration.world.truth import Truth, truth_of
from calibration.world.world import NamedTable, Scored, named_tables, read_rows
from tests.calibration.worlds import MM_PER_PX, Made, made
from trainer.phantom.cohort.demo import FILMS
from trainer.phantom.film.film import _hips
from trainer.phantom.film.scene import scene_of

REMARKS = {"assumed_postmenopausal", "outside_reference_range"}
UNFIT = ("fracture", "implant", "immature")
DEMO = Path(bmd_edge.__file__).parent / "data" / "demo"
NEAR = {"abs": 1e-9}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    some = made()
    return some, *some.scored(tmp_path_factory.mktemp("foreign"))


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    some = made(("intact", *UNFIT, "hidden", "borderline"), seed=3)
    return some, *some.scored(tmp_path_factory.mktemp("real"), "real")


def part(facts, division, name):
    return next(row for row in facts["groups"] if (row["division"], row["part"]) == (division, name))


def matched(hip):
    """A hip that was put 50 mm away is found on no film."""
    return hip.answer if hip.fate != "far" else None


def flagged(hip):
    return bool({flag for one in matched(hip).estimates for flag in one.flags} - REMARKS)


def read(hips):
    return [hip for hip in hips if matched(hip) and matched(hip).estimates]


def agreement(hips, site):
    hips = read(hips)
    y = np.array([hip.row.bmd_gcm2[site] for hip in hips])
    numbers = [next(one for one in hip.answer.estimates if one.site == site) for hip in hips]
    x, low, high = (np.array([getattr(one, f"{end}_gcm2") for one in numbers]) for end in ("bmd", "low", "high"))
    return {
        "r": stats.pearsonr(x, y).statistic,
        "slope_on_truth": stats.linregress(y, x).slope,
        "rmse_gcm2": np.sqrt(np.mean((x - y) ** 2)),
        "bias_gcm2": np.mean(x - y),
        "coverage": np.mean((low <= y) & (y <= high)),
        "width_gcm2": np.mean(high - low),
    }


def mm(hips, names):
    """Landmark errors: plain distances of the core landmarks; of the others only across the true axis."""
    errors = []
    for hip in hips:
        for name in names if matched(hip) else ():
            off = np.subtract(matched(hip).landmarks_px[name], hip.points[name])
            if name not in CORE:
                ends = ("head_center", name) if name == "neck_center" else ("shaft_proximal", "shaft_distal")
                along = np.subtract(hip.points[ends[1]], hip.points[ends[0]])
                off = off - along * (off @ along) / (along @ along)
            errors.append(np.linalg.norm(off) * MM_PER_PX)
    return np.array(errors)


def test_figures_of_all_and_of_every_group_are_those_of_scipy(foreign):
    some, facts, _ = foreign
    divisions = {
        "all": lambda _: "hips",
        "style": lambda hip: hip.row.extra["x_style"],
        "style, unflagged": lambda hip: hip.row.extra["x_style"] if hip in read([hip]) and not flagged(hip) else None,
        "maker": lambda hip: hip.row.maker,
        "sex": lambda hip: {"F": "female", "M": "male"}[hip.row.sex],
        "age": lambda hip: age_band(hip.row.age_years),
        "flag": lambda hip: ("flagged" if flagged(hip) else "unflagged") if hip in read([hip]) else None,
    }
    expected = {(division, of(hip)) for division, of in divisions.items() for hip in some.hips if of(hip)}
    assert {(row["division"], row["part"]) for row in facts["groups"]} == expected
    for row in facts["groups"]:
        hips = [hip for hip in some.hips if divisions[row["division"]](hip) == row["part"]]
        assert (row["hips"], row["read"], row["found"]) == (
            len(hips),
            len(read(hips)),
            sum(map(bool, map(matched, hips))),
        )
        assert row["subjects"] == len({hip.row.subject for hip in hips})
        assert row["read_share"]["value"] == pytest.approx(len(read(hips)) / len(hips))
        assert row["flagged_share"]["value"] == pytest.approx(np.mean([flagged(hip) for hip in read(hips)]))
        for name, names in {"core": CORE, **{name: (name,) for name in LANDMARKS}}.items():
            errors, found = mm(hips, names), row["landmarks"][name]
            assert found["n"] == len(errors)
            assert found["median_mm"]["value"] == pytest.approx(np.median(errors), **NEAR)
            assert found["p95_mm"]["value"] == pytest.approx(np.percentile(errors, 95), **NEAR)
        for site in SITES:
            found = row["sites"][site]
            assert found["hips"] == len(read(hips))
            values = {name: figure["value"] for name, figure in found["figures"].items()}
            assert values == pytest.approx(agreement(hips, site), **NEAR)


def age_band(age):
    edges = [0, 50, 60, 70, 80, 200]
    low = max(edge for edge in edges if edge <= age)
    return {0: "under 50 years", 80: "80 years or more"}.get(low, f"{low} to {low + 10} years")


def test_every_true_status_is_counted_with_what_became_of_it(real):
    some, facts, _ = real
    for row in facts["statuses"]:
        hips = [hip for hip in some.hips if hip.row.extra["x_status"] == row["status"]]
        assert row["hips"] == len(hips) > 5
        assert row["found"] == sum(matched(hip) is not None for hip in hips)
        assert row["read"] == len(read(hips))
        assert row["read_unflagged"] == sum(not flagged(hip) for hip in read(hips))
        assert sum(row["codes"].values()) == len(hips) - len(read(hips))
        assert row["codes"]["fracture"] == sum(hip.fate == "fracture" for hip in hips)
    unfit = [hip for hip in some.hips if hip.row.extra["x_status"] in UNFIT]
    assert facts["false_reads"] == {"hips": len(unfit), "read": len(read(unfit))}
    assert facts["false_reads"]["read"] > 0
    fates = Counter(hip.fate for hip in some.hips)
    assert facts["stray_numbers"] == fates["far"] > 0
    assert facts["wrong_side"] == fates["wrong_side"] > 0
    intact = [hip for hip in some.hips if hip.row.extra["x_status"] == "intact"]
    assert part(facts, "all", "hips")["hips"] == len(intact)
    assert part(facts, "all", "hips")["landmarks"]["core"]["n"] == len(mm(intact, CORE))


def test_intervals_draw_whole_subjects(foreign):
    some, facts, _ = foreign
    subjects = sorted({hip.row.subject for hip in some.hips})
    of = [[hip for hip in some.hips if hip.row.subject == one] for one in subjects]
    figures = {
        "r": lambda hips: agreement(hips, "total_hip")["r"],
        "coverage": lambda hips: agreement(hips, "total_hip")["coverage"],
        "p95_mm": lambda hips: np.percentile(mm(hips, CORE), 95),
    }
    whole = part(facts, "all", "hips")
    got = {**whole["sites"]["total_hip"]["figures"], **whole["landmarks"]["core"]}
    for name, figure in figures.items():

        def drawn(index, figure=figure):
            return figure([hip for k in index for hip in of[k]])

        interval = stats.bootstrap(
            (np.arange(len(of)),), drawn, n_resamples=RESAMPLES, vectorized=False, rng=np.random.default_rng(SEED)
        ).confidence_interval
        assert (got[name]["low"], got[name]["high"]) == pytest.approx((interval.low, interval.high), abs=1e-6), name


def test_few_subjects_get_no_interval(tmp_path):
    for subjects in (MIN_SUBJECTS - 1, MIN_SUBJECTS):
        facts, _ = made(subjects=subjects).scored(tmp_path)
        figure = part(facts, "all", "hips")["sites"]["femoral_neck"]["figures"]["rmse_gcm2"]
        assert (figure["low"] is not None) == (subjects == MIN_SUBJECTS)
        assert "few_subjects" in {finding["code"] for finding in facts["findings"]}


def test_quantiles_of_weighted_values_are_those_of_the_values_written_out():
    rng = np.random.default_rng(1)
    values, weights = rng.normal(size=23).round(1), rng.integers(0, 4, (50, 23)).astype(float)
    weights[0] = 0
    for share in (0.0, 0.5, 0.95, 1.0):
        found = quantile(values, weights, share)
        assert np.isnan(found[0])
        for weight, one in zip(weights[1:], found[1:], strict=True):
            assert one == pytest.approx(np.quantile(np.repeat(values, weight.astype(int)), share), **NEAR)


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


# -- the columns ------------------------------------------------------------------------------------------------------


def row_with(**cells):
    extra = {f"x_{name}": text for name, text in cells.items()}
    return HipRow(film="a.dcm", subject="S", side="R", split="test", extra=extra)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"status": "broken"}, "x_status: 'broken' is not one of intact, fracture"),
        ({"head_center_x_px": "12"}, "x_head_center_y_px: empty beside"),
        ({"head_center_x_px": "12", "head_center_y_px": "a"}, "x_head_center_y_px: 'a' is not a number"),
        ({"head_center_x_px": "12", "head_center_y_px": "nan"}, "'nan' is not a number"),
        ({"head_centre_x_px": "12"}, "no such landmark; they are head_center"),
        ({"mm_per_px": "0"}, "x_mm_per_px: must be above 0"),
    ],
)
def test_a_broken_column_is_named(cells, said):
    with pytest.raises(TableError, match=re.escape(said)):
        truth_of(row_with(**cells))


def test_a_hip_with_dexa_is_intact_unless_the_table_says_otherwise():
    labelled = HipRow(film="a.dcm", subject="S", side="R", split="test", bmd_gcm2={"total_hip": 0.8}, scale="hologic")
    assert truth_of(labelled).status == "intact"
    assert truth_of(replace(labelled, extra={"x_status": "implant"})).status == "implant"
    assert truth_of(row_with()).status == "unknown"


def test_a_cohort_of_the_phantom_is_read_by_its_own_columns(tmp_path):
    cells = {"kind": "intact", "cut_off": "1", "head_center_x": "3", "head_center_y": "4", "spacing_mm": "0.3"}
    dicom = row_with(image="dicom", maker_style="Synthetic-C", **cells)
    truth = truth_of(dicom)
    assert (truth.status, truth.landmarks_px, truth.mm_per_px) == ("cut_off", {"head_center": (3, 4)}, 0.3)
    assert truth.style == "Synthetic-C"
    write_table(tmp_path / "films.csv", [dicom, replace(dicom, film="b.png", extra={"x_image": "roi"})])
    assert read_rows(NamedTable("synthetic", "a", tmp_path / "films.csv"), "test").rows == [dicom]


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([], "world needs film tables"),
        (["films.csv"], "'films.csv': say of what world"),
        (["martian=films.csv"], "one of synthetic, foreign, real"),
        (["real="], "say of what world"),
        (["real=a.csv", "real=b.csv"], "two tables are called 'real'"),
    ],
)
def test_tables_are_named_and_classed(texts, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        named_tables(texts)
    named = named_tables(["real=a.csv", "real:b=b=c.csv"])
    assert named == [NamedTable("real", "real", Path("a.csv")), NamedTable("real", "b", Path("b=c.csv"))]


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["bmd-edge", "world", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code or 0


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo films as a table of the phantom's truth, in a folder whose name must not be told."""
    return phantom_table(tmp_path_factory.mktemp("patients of Dr X"))


def phantom_table(folder):
    rows = []
    for number, (name, film) in enumerate(FILMS.items()):
        shutil.copy(DEMO / name, folder / name)
        scene = scene_of(film.spec)
        for hip in _hips(film.spec, scene):
            label = hip.label_bmd_gcm2 or {}
            cells = {f"x_{n}_{axis}_px": f"{v:.3f}" for n, xy in hip.landmarks_px.items()
                     for axis, v in zip("xy", xy, strict=True)}  # fmt: skip
            cells |= {"x_status": hip.kind, "x_mm_per_px": repr(scene.view.spacing_mm), "x_style": film.spec.style}
            rows.append(
                HipRow(
                    film=name, subject=f"P{number}", side=hip.side, split="test", age_years=70.0, sex="F",
                    bmd_gcm2={site: round(label[site], 3) if label else None for site in SITES},
                    scale="hologic" if label else None, extra=cells,
                )
            )  # fmt: skip
    write_table(folder / "films.csv", rows)
    return folder / "films.csv"


def test_the_demo_films_by_world(demo, tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, f"synthetic={demo}", "--out", tmp_path / "R", "--threads", 1) == 0
    text = capsys.readouterr().out
    assert "Research use only" in text
    assert "numbers where none may stand: 0 of 1" in text
    facts = json.loads((tmp_path / "R" / "world.json").read_text())
    (one,) = facts["worlds"]
    assert (one["world"], one["matched_by"], one["wrong_side"], one["stray_numbers"]) == (
        "synthetic",
        "head_center",
        0,
        0,
    )
    assert [(row["status"], row["hips"], row["found"], row["read"]) for row in one["statuses"]] == [
        ("intact", 5, 5, 5), ("implant", 1, 1, 0),
    ]  # fmt: skip
    whole = part(one, "all", "hips")
    assert 0 < whole["landmarks"]["core"]["median_mm"]["value"] < 5
    assert whole["sites"]["total_hip"]["figures"]["r"]["value"] > 0.5
    page = (tmp_path / "R" / "world.html").read_text()
    assert facts["use"] in page
    for shown in (page, json.dumps(facts), text):
        assert "Dr X" not in shown
        assert str(tmp_path) not in shown
    assert run(monkeypatch, f"synthetic={demo}", "--out", tmp_path / "again", "--threads", 1) == 0
    for name in ("world.json", "world.html"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "R" / name).read_bytes()


def test_wrong_use_of_the_command_says_the_remedy(demo, monkeypatch, capsys):
    for arguments, said_ in (
        ([], "world needs film tables"),
        ([f"real={demo}", "--split", "val"], "no row has split = val"),
        ([f"real={demo}", "--out", demo.parent], "--out is the folder of a table"),
        ([f"real={demo.parent / 'none.csv'}"], "cannot be read"),
    ):
        assert run(monkeypatch, *arguments) == 2
        told = capsys.readouterr().err
        assert said_ in told
        assert "Traceback" not in told


def test_the_page_shows_every_world_with_its_number_of_hips(foreign, real, tmp_path):
    worlds = {"foreign": foreign, "real": real}
    facts = {
        "use": "Research use only", "notice": "made up", "training_data": "none", "bundle": "b", "bundle_digest": "0",
        "device": "cpu", "primary": "int8", "versions": {"bmd-edge": "0"},
        "bootstrap": {"resamples": 1, "least_subjects": 5},
        "worlds": [one for _, one, _ in worlds.values()],
    }  # fmt: skip
    facts["worlds"][1] = {**facts["worlds"][1], "name": "<b>ours</b>"}
    write_page(tmp_path / "a.html", Scored(facts, {"foreign": foreign[2], "<b>ours</b>": real[2]}))
    page = (tmp_path / "a.html").read_text()
    for _, one, _ in worlds.values():
        figures = part(one, "all", "hips")["sites"]["femoral_neck"]["figures"]
        assert f"{one['hips']} hips on {one['table']['films']} films of {one['table']['subjects']} subjects" in page
        for name, label, kind in FIGURES:
            assert f"<td>{said(figures[name], kind)}</td>" in page
            assert label in page
        for row in one["groups"]:
            assert f"{row['division']}: {row['part']}" in page
    assert "<b>ours" not in page
    assert "&lt;b&gt;ours&lt;/b&gt; (real)" in page
    assert re.search(r"<script|https?://(?!www\.w3\.org)", page) is None
