"""`bmd-edge world`: tables in, one report out, and the command."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import bmd_edge
from bmd_edge.cli.main import main
from bmd_edge.errors import UsageError
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow, write_table
from calibration.world.world import NamedTable, named_tables
from tests.calibration.world.test_figures import part
from tests.calibration.worlds import Made, made
from trainer.phantom.cohort.demo import FILMS
from trainer.phantom.film.view import view_of

DEMO = Path(bmd_edge.__file__).parent / "data" / "demo"


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([], "world needs film tables"),
        (["films.csv"], "'films.csv': say of what world"),
        (["martian=films.csv"], "one of synthetic, foreign, real"),
        (["rael:ours=films.csv"], "one of synthetic, foreign, real (did you mean real?)"),
        (["real="], "say of what world"),
        (["real=a.csv", "real=b.csv"], "two tables are called 'real'"),
    ],
)
def test_tables_are_named_and_classed(texts, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        named_tables(texts)
    named = named_tables(["real=a.csv", "real:b=b=c.csv"])
    assert named == [NamedTable("real", "real", Path("a.csv")), NamedTable("real", "b", Path("b=c.csv"))]


def test_a_misspelled_column_stands_among_the_findings(tmp_path):
    some = made()
    hips = [
        replace(hip, row=replace(hip.row, extra={n.replace("style", "styel"): v for n, v in hip.row.extra.items()}))
        for hip in some.hips
    ]
    facts, _ = Made(hips, some.films).scored(tmp_path)
    assert "Column x_styel is not read (did you mean x_style?); if so, rename it." in str(facts["findings"])
    assert "column_not_read" not in str(some.scored(tmp_path)[0]["findings"])


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
        view = view_of(film.spec)
        for hip in view.hips:
            label = hip.label_bmd_gcm2 or {}
            cells = {f"x_{n}_{axis}_px": f"{v:.3f}" for n, xy in hip.landmarks_px.items()
                     for axis, v in zip("xy", xy, strict=True)}  # fmt: skip
            cells |= {"x_status": hip.kind, "x_mm_per_px": repr(view.scene.view.spacing_mm), "x_style": film.spec.style}
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
    assert whole["sites"]["femoral_neck"]["figures"]["r"]["value"] > 0.5
    page = (tmp_path / "R" / "world.html").read_text()
    assert facts["use"] in page
    for shown in (page, json.dumps(facts), text):
        assert "Dr X" not in shown
        assert str(tmp_path) not in shown
    assert run(monkeypatch, f"synthetic={demo}", "--out", tmp_path / "again", "--threads", 1) == 0
    for name in ("world.json", "world.html"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "R" / name).read_bytes()


@pytest.mark.xfail(reason="phantom-6 reads the dense one of the five demo hips 0.095 g/cm2 too low", strict=True)
def test_the_total_hips_of_the_demo_follow_the_truth(demo, tmp_path, monkeypatch):
    assert run(monkeypatch, f"synthetic={demo}", "--out", tmp_path / "R", "--threads", 1) == 0
    (one,) = json.loads((tmp_path / "R" / "world.json").read_text())["worlds"]
    assert part(one, "all", "hips")["sites"]["total_hip"]["figures"]["r"]["value"] > 0.5


def test_wrong_use_of_the_command_says_the_remedy(demo, monkeypatch, capsys):
    for arguments, said_ in (
        ([], "world needs film tables"),
        ([f"real={demo}", "--split", "val"], "no row has split = val"),
        ([f"real={demo}", "--out", demo.parent], "--out is the folder of a table"),
        ([f"real={demo.parent / 'none.csv'}"], "there is no such film table"),
    ):
        assert run(monkeypatch, *arguments) == 2
        told = capsys.readouterr().err
        assert said_ in told
        assert "Traceback" not in told
