from pathlib import Path

from typer.testing import CliRunner

from trainer.phantom.commands import app


def test_command_makes_a_cohort_without_naming_make(tmp_path):
    runner = CliRunner()
    options = ["--labelled", "1", "--calibrate", "0", "--unlabelled", "0", "--workers", "1"]
    done = runner.invoke(app, [str(tmp_path / "c"), *options])
    assert done.exit_code == 0, done.output
    assert Path(done.stdout.strip().splitlines()[-1]).name == "films.csv"
    wrong = runner.invoke(app, [str(tmp_path / "d"), *options, "--makers", "Q"])
    assert wrong.exit_code == 2
    assert runner.invoke(app, [str(tmp_path / "d"), *options, "--population", "tall"]).exit_code == 2
    assert runner.invoke(app, ["check", "--help"]).exit_code == 0
