"""`bmd-edge study` as a physicist calls it: from nothing to a frozen plan, and a validation against it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import bmd_edge
from bmd_edge.cli.main import main

ROOT = Path(__file__).parents[3]
DEMO = Path(bmd_edge.__file__).parent / "data" / "demo"
PLAN = ["study", "plan", "--aim", "rmse_gcm2<=0.15", "--assume", "rmse_gcm2=0.09", "--out", "draft.json"]
FREEZE = ["study", "freeze", "draft.json", "--days", "90", "--scale", "Hologic", "--dexa-maker", "Horizon A"]
ROWS = """\
film,subject,side,age_years,sex,bmd_femoral_neck_gcm2,bmd_total_hip_gcm2,scale,split,film_date,dxa_date
pelvis.dcm,P1,R,71,F,0.640,0.800,hologic,test,2026-03-01,2026-03-02
pelvis.dcm,P1,L,71,F,0.740,0.890,hologic,test,2026-03-01,2026-03-02
right_hip.dcm,P2,R,63,F,0.860,0.910,hologic,test,2026-03-01,2025-01-02
"""


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["bmd-edge", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_from_nothing_to_a_frozen_plan_and_a_validation_against_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [sys.executable, "-m", "bmd_edge", *PLAN[:-1], str(tmp_path / "draft.json")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Enroll ")
    assert "Research use only" in done.stdout
    assert run(monkeypatch, *FREEZE, "--subgroup", "Sex", "--exclude", "implants") == 0
    plan = json.loads((tmp_path / "study-plan.json").read_text())
    assert plan["aims"] == ["femoral_neck.rmse_gcm2<=0.15", "total_hip.rmse_gcm2<=0.15"]
    assert (plan["scale"], plan["subgroups"]) == ("hologic", ["sex"])
    assert "Horizon A" in (tmp_path / "study-plan.html").read_text()
    assert run(monkeypatch, *FREEZE) == 2
    assert "not written over" in capsys.readouterr().err

    films = tmp_path / "films"
    films.mkdir()
    for film in DEMO.glob("*.dcm"):
        (films / film.name).write_bytes(film.read_bytes())
    (films / "table.csv").write_text(ROWS)
    held = ["validate", "--table", "films/table.csv", "--plan", "study-plan.json", "--threads", "1", "--out"]
    assert run(monkeypatch, *held, "R") == 3  # so few subjects show nothing
    facts = json.loads((tmp_path / "R" / "validation.json").read_text())
    assert {"plan_fewer_subjects", "plan_outside_days", "plan_not_verified"} <= set(facts["plan"]["deviations"])
    assert "Against the plan" in (tmp_path / "R" / "validation.html").read_text()

    plan["days"] = 900
    (tmp_path / "study-plan.json").write_text(json.dumps(plan))
    assert run(monkeypatch, *held, "S") == 2
    assert "its digest does not fit" in capsys.readouterr().err
    assert not (tmp_path / "S").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["study", "plan"], "plan needs --aim"),
        (["study", "plan", "--aim", "rmse<=1"], "write one of"),
        (["study", "plan", "--aim", "rmse_gcm2<=0.01"], "--assume rmse_gcm2.femoral_neck=VALUE"),
        (["study", "plan", "--aim", "coverage=0.85..0.95"], "that it covers 0.85 or more is coverage=0.85..1"),
        (["study", "plan", "--aim", "rmse_gcm2<=70"], "mg/cm2 divided by 1000"),
        (["study", "plan", "--aim", "sensitivity=.9+-.1", "--assume", "prevalence=1"], "from 0.0001 to 0.9999"),
        (["study", "freeze"], "needs DRAFT, --days, --scale (hologic, lunar, norland, sbmd), --dexa-maker\n"),
        (["study", "plan", "--aim", "rmse_gcm2<=0.2", "--power", "2"], "--power"),
        (FREEZE[:-2], "freeze needs --dexa-maker\n"),
        ([*FREEZE[:3], *FREEZE[5:]], "freeze needs --days\n"),
        ([*FREEZE, "--scale", "GE"], "--scale: 'ge' is not one of hologic, lunar, norland, sbmd"),
        ([*FREEZE[:2], "none.json", *FREEZE[3:]], "cannot be read"),
        ([*FREEZE, "--out", "plan.html"], "ends in .json"),
        ([*FREEZE, "--key", "none.pem"], "--key none.pem"),
        ([*FREEZE, "--refusals", "leftout"], "'leftout' is not one of against, left_out (did you mean left_out?)"),
        ([*FREEZE, "--subgroup", "gender"], "validate divides by none such, 'gender' is not one of sex"),
        (["validate", "--table", "t.csv", "--plan", "none.json"], "none.json: cannot be read"),
    ],
)
def test_wrong_use_is_one_line_with_its_remedy(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
