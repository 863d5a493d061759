from pathlib import Path

from typer.testing import CliRunner

from tests.bmd_edge.cli.program import program
from trainer.phantom.commands import app


def test_command_makes_a_cohort_without_naming_make(tmp_path):
    runner = CliRunner()
    options = ["--labelled", "1", "--calibrate", "0", "--unlabelled", "0", "--workers", "1"]
    done = runner.invoke(app, [str(tmp_path / "c"), *options])
    assert done.exit_code == 0, done.output
    assert Path(done.stdout.strip().splitlines()[-1]).name == "films.csv"
    assert runner.invoke(app, ["check", "--help"]).exit_code == 0


def test_wrong_use_is_one_line_with_its_remedy_before_anything_is_made(tmp_path):
    films = tmp_path / "films.csv"
    films.write_text(
        "film,subject,side,age_years,sex,bmd_femoral_neck_gcm2,bmd_total_hip_gcm2,scale,split\n"
        "a.dcm,P1,R,70,F,0.7,0.8,hologic,test\n"
    )
    for words, said in (
        (("make", tmp_path / "d", "--makers", "Q"), "--makers: 'Q' is not one of A, B"),
        (("make", tmp_path / "d", "--population", "wild"), "screening, wide, both (did you mean wide?)"),
        (("make", tmp_path / "d", "--style", "nmaed"), "--style: 'nmaed' is not one of named, random, wide, mixed"),
        (("make", tmp_path / "d", "--split", "tset"), "is not one of test, calibrate (did you mean test?)"),
        (("check", "--table", tmp_path / "none.csv"), "none.csv: there is no such film table: check its name"),
        (("check", "--table", films), "films.csv: no labelled regions; give the film table of a cohort"),
    ):
        done = program("phantom", *words)
        assert done.returncode == 2
        assert done.stderr.startswith("bmd-edge: ")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
    assert [one.name for one in tmp_path.iterdir()] == ["films.csv"]
