"""`bmd-edge world` against the script beside the films that judge (score.py): equal numbers on made-up and real sets.

Script and films lie outside the project, beside `BMD_EDGE_REAL_FILMS`. Figures are compared and never looked at.
"""

import csv
import importlib.util
import json
import os
import subprocess
import sys

import pytest

from bmd_edge.bundle.manifest import LANDMARKS
from bmd_edge.sites import SITES
from tests.calibration.judging import HEAD_ON_FILM_MM, JUDGE, SCRIPT, table_of_foreign, table_of_real
from tests.calibration.worlds import MM_PER_PX, made

pytestmark = pytest.mark.skipif(
    not SCRIPT.is_file(), reason=f"NO JUDGE: {SCRIPT} is absent, world has no second opinion; set BMD_EDGE_REAL_FILMS"
)

FIGURES = {
    "r": "r", "slope": "slope_on_truth", "rmse": "rmse_gcm2", "bias": "bias_gcm2", "coverage": "coverage",
    "width": "width_gcm2",
}  # fmt: skip
DIVISIONS = {"style": "style", "style_unflagged": "style, unflagged", "flag": "flag"}
ROUNDED, ROUNDED_MM = {"abs": 5.1e-4}, {"abs": 5.1e-3}  # the script rounds to 3 decimals, and mm to 2
FOREIGN_FILMS = 4
STATUS = {"fracture": "fractured"}


@pytest.fixture(scope="module")
def script():
    """The script as a module; it is never copied."""
    spec = importlib.util.spec_from_file_location("judge_score", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def equal_landmarks(theirs, ours):
    assert theirs.keys() == {name for name, found in ours.items() if found["n"]}
    for name, found in theirs.items():
        assert ours[name]["n"] == found["n"]
        assert ours[name]["median_mm"]["value"] == pytest.approx(found["median_mm"], **ROUNDED_MM)
        assert ours[name]["p95_mm"]["value"] == pytest.approx(found["p95_mm"], **ROUNDED_MM)


def renamed(codes):
    return {{"not_reported": "hip_not_found"}.get(code, code): n for code, n in codes.items()}


def equal_agreement(theirs, ours):
    """Figures of a site in one group; the script gives [figure, low, high] where it draws subjects."""
    assert ours["hips"] == theirs["n"]
    for key, name in FIGURES.items():
        value = theirs.get(key)
        value = value[0] if isinstance(value, list) else value
        assert ours["figures"][name]["value"] == (None if value is None else pytest.approx(value, **ROUNDED)), name


def equal_foreign(theirs, ours):
    """All that both say of films with DEXA."""
    whole, *parts = ours["groups"]
    for key in ("hips", "subjects", "found", "read"):
        assert whole[key] == theirs[key], key
    assert ours["statuses"][0]["codes"] == renamed(theirs["codes"])
    assert (ours["wrong_side"], ours["stray_numbers"]) == (theirs["wrong_side"], theirs["stray_numbers"])
    assert whole["flagged_share"]["value"] == pytest.approx(theirs["flagged_share"], **ROUNDED)
    equal_landmarks(theirs["landmarks"], whole["landmarks"])
    compared = 0
    for site in SITES:
        equal_agreement(theirs[site], whole["sites"][site])
        for kind, division in DIVISIONS.items():
            mine = {row["part"]: row["sites"][site] for row in parts if row["division"] == division}
            for part, figures in theirs[site]["by"][kind].items() if mine else ():
                if figures["n"]:  # the script also names parts that nothing was read of
                    equal_agreement(figures, mine[part])
                    compared += 1
    return compared


def equal_real(theirs, none, ours):
    """All that both say of films without DEXA; `none` is what the script says of those without a hip, or None."""
    mine = {row["status"]: row for row in ours["statuses"]}
    blocks = theirs["by_status"]
    for status in ("intact", "fracture", "implant", "hidden"):
        some = [block for group, block in blocks.items() if group.split(",")[0] == STATUS.get(status, status)]
        for key in ("hips", "found", "read", "read_unflagged"):
            assert mine[status][key] == sum(block[key] for block in some), (status, key)
    assert mine["intact"]["codes"] == renamed(blocks["intact"]["codes"])
    equal_landmarks(blocks["intact"]["landmarks"], ours["groups"][0]["landmarks"])
    films, numbers = (none["films"], len(none["numbers"])) if none else (0, 0)
    unfit = theirs["unfit"]
    assert ours["false_reads"] == {"hips": unfit["hips"] + films, "read": unfit["read"] + numbers}
    assert ours["stray_numbers"] == len(theirs["stray_numbers"])
    if none:
        assert (mine["not_a_hip"]["hips"], mine["not_a_hip"]["read"]) == (films, numbers)
        assert mine["not_a_hip"]["codes"] == none["codes"]


def results_of(folder, films):
    path = folder / "results.jsonl"
    path.write_text("".join(json.dumps(film.reports["int8"].to_dict()) + "\n" for film in films), encoding="utf-8")
    return path


def test_made_up_foreign_films_are_scored_as_by_the_script(script, tmp_path):
    some = made(seed=11)
    marks = {}
    for hip in some.hips:
        facts = {"style": hip.row.extra["x_style"], "pitch_mm": MM_PER_PX * 1.2, "magnification": 1.2, "hips": {}}
        film = marks.setdefault(hip.row.film.removeprefix("films/"), facts)
        film["hips"][hip.row.side] = {name: list(point) for name, point in hip.points.items()}
    (tmp_path / "landmarks.json").write_text(json.dumps(marks))
    facts, _ = some.scored(tmp_path)
    theirs = script.score_foreign(tmp_path, results_of(tmp_path, some.films), [])
    assert equal_foreign(theirs, facts) == 2 * 8
    assert facts["stray_numbers"] > 0


def test_made_up_real_films_are_scored_as_by_the_script(script, tmp_path):
    some = made(("intact", "fracture", "implant", "immature", "hidden"), seed=12)
    columns = ["file", "side", "status", "view", "use", "head_radius_px"]
    with (tmp_path / "landmarks.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*columns, *(f"{name}_{axis}" for name in LANDMARKS for axis in "xy")])
        writer.writeheader()
        for hip in some.hips:
            status = hip.row.extra["x_status"]
            points = {f"{n}_{axis}": v for n, xy in hip.points.items() for axis, v in zip("xy", xy, strict=True)}
            facts = (hip.row.film.removeprefix("films/"), hip.row.side, STATUS.get(status, status), "AP", "core")
            radius = HEAD_ON_FILM_MM / MM_PER_PX / 2
            writer.writerow(dict(zip(columns, (*facts, radius), strict=True)) | points)
    facts, _ = some.scored(tmp_path, "real")
    theirs = script.score_real(tmp_path / "landmarks.csv", results_of(tmp_path, some.films), [])
    assert theirs["unfit"]["read"] > 0
    equal_real(theirs, None, facts)


def program(*arguments):
    command = [sys.executable, "-m", "bmd_edge.cli.main", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 3), done.stderr
    assert "Traceback" not in done.stderr


def screened(films):
    out = films.parent / f"{films.name}-results"
    program("screen", films, "--out", out)
    return out / "results.jsonl"


def made_by(name, *arguments):
    subprocess.run([sys.executable, JUDGE / name, *map(str, arguments)], check=True, capture_output=True)


@pytest.mark.timeout(1200)  # unpacks all films, and reads some twice
@pytest.mark.skipif(
    "BMD_EDGE_REAL_FILMS" not in os.environ,
    reason="NO FILMS THAT JUDGE: each run is one more look at them, so it must be asked for with BMD_EDGE_REAL_FILMS",
)
def test_the_films_that_judge_are_scored_as_by_the_script(script, tmp_path):
    foreign, real = tmp_path / "foreign", tmp_path / "real"
    made_by("foreign_films/unpack.py", foreign)
    made_by("real_hips/wrap.py", real)
    marks = json.loads((foreign / "landmarks.json").read_text())
    kept = dict(list(marks.items())[:FOREIGN_FILMS])
    (foreign / "landmarks.json").write_text(json.dumps(kept))
    for name in marks.keys() - kept.keys():
        (foreign / "films" / name).unlink()
    landmarks = JUDGE / "real_hips" / "landmarks.csv"
    tables = f"foreign={table_of_foreign(foreign)}", f"real={table_of_real(real, landmarks)}"
    program("world", *tables, "--out", tmp_path / "world")
    ours = json.loads((tmp_path / "world" / "world.json").read_text())["worlds"]
    equal_foreign(script.score_foreign(foreign, screened(foreign / "films"), []), ours[0])
    none = script.score_none(screened(real / "not_hips"))
    equal_real(script.score_real(landmarks, screened(real / "films"), []), none, ours[1])
