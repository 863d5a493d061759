"""The command line as a user meets it: exit codes, streams, and what each command says."""

import inspect
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

import bmd_edge.screen.run  # noqa: F401 - its annotations name the true Crew, for which a test puts another in place
from bmd_edge.cli import main, options, workshops
from bmd_edge.report.film_report import RESEARCH_USE
from bmd_edge.version import __version__
from tests.bmd_edge.cli.program import program
from tests.support.screening import CANARY

ROOT = Path(__file__).parents[3]


def test_0_when_everything_was_read(inside, films: Path, tmp_path: Path) -> None:
    code, out, err = inside("screen", films, "--out", tmp_path / "out")
    assert code == 0
    assert "pelvis.dcm" in out
    assert RESEARCH_USE in " ".join(out.split())
    assert "report/index.html" in err


def test_an_account_without_a_home_folder_reads_films_and_hears_what_it_lacks(
    inside, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    code, _, err = inside("screen", films, "--out", tmp_path / "out")
    assert code == 0
    assert "Patients have no pseudonym" in err
    assert "XDG_CONFIG_HOME names another folder" in err


def test_1_for_an_unexpected_error(inside, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr("bmd_edge.screen.workers.Crew", fail)
    code, out, err = inside("screen", films, "--out", tmp_path / "out")
    assert (code, out) == (1, "")
    assert "RuntimeError" in err
    assert CANARY not in err
    monkeypatch.setattr(sys, "argv", ["bmd-edge", "--debug", "screen", str(films), "--out", str(tmp_path / "out")])
    with pytest.raises(RuntimeError, match=re.escape(CANARY)):
        main.main()


def test_a_program_that_has_ended_writes_no_more_into_its_stderr(inside, capfd: pytest.CaptureFixture[str]) -> None:
    """The number may be another file's by then: log lines have gone into an open journal."""
    assert inside("schema")[0] == 0
    logging.getLogger("bmd_edge").warning("late")
    assert capfd.readouterr().err == ""


def test_2_for_wrong_use(bundle: Path, films: Path, tmp_path: Path) -> None:
    for arguments in (
        ["screen", tmp_path / "none"],
        ["screen", films, "--out", films / "out"],
        ["screen"],
        ["screen", films, "--no-such-option"],
        ["screen", films, "--bundle", bundle, "--device", "abacus"],
        ["screen", films, "--bundle", bundle, "--precision", "int3"],
        ["screen", films, "--bundle", bundle, "--spacing-mm", "-1"],
        ["screen", films, "--bundle", bundle, "--override-spacing"],
        ["screen", films, "--threads", "0"],
        ["no-such-command"],
    ):
        done = program(*arguments, cwd=tmp_path)
        assert done.returncode == 2, (arguments, done.stderr)
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    assert not (tmp_path / "bmd-edge-results").exists()


def test_3_when_something_was_refused(bundle: Path, films: Path, tmp_path: Path) -> None:
    (films / "notes.txt").write_text(CANARY)
    done = program("screen", films, "--bundle", bundle, "--out", tmp_path / "out")
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert "CANARY" not in done.stdout + done.stderr
    assert {"results.csv", "results.jsonl", "run.json", "report"} <= set(os.listdir(tmp_path / "out"))
    assert "The file is not a DICOM file." in done.stdout
    assert RESEARCH_USE in done.stdout


def test_4_for_a_bundle_that_cannot_be_used(bundle: Path, films: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(bundle, tmp_path / "broken")
    (broken / "bmd.onnx").write_bytes((broken / "bmd.onnx").read_bytes()[:-1] + b"\0")
    for arguments in (
        ["screen", films, "--bundle", broken, "--out", tmp_path / "out"],
        ["screen", films, "--bundle", tmp_path, "--out", tmp_path / "out"],
        ["info", broken],
        ["doctor", broken],
    ):
        done = program(*arguments)
        assert done.returncode == 4, (arguments, done.stderr)
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_page_lists_the_exit_codes() -> None:
    listed = re.findall(r"^\| (\d+) \| ", (ROOT / "bmd_edge" / "README.md").read_text(), re.MULTILINE)
    assert [int(code) for code in listed] == list(main.EXIT_CODES)


def test_the_help_says_every_exit_code_and_h_is_help() -> None:
    said = program("-h").stdout
    assert said == program("--help").stdout
    words = " ".join(said.split())
    assert [code for code, meaning in main.EXIT_CODES.items() if f"{code} {meaning}" not in words] == []
    assert program("screen", "-h").stdout == program("screen", "--help").stdout
    assert said.count("--install-completion") == 1


def test_an_error_of_the_disk_names_the_folder_that_was_given_and_nothing_below(
    inside, films: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    code, out, err = inside("screen", films, "--out", tmp_path / "file" / "below")
    assert (code, out) == (1, "")
    assert err.startswith(f"bmd-edge: {tmp_path / 'file' / 'below'}: Not a directory: "), err
    error = OSError(28, "No space left on device", str(films / CANARY))
    assert main._named(error) == f"{films}: "
    assert main._named(OSError(28, "No space left on device", "/elsewhere")) == ""


def test_every_command_has_a_line_in_the_help() -> None:
    text = program("--help").stdout
    for name in ("screen", "demo", "info", "doctor", "schema", *workshops.WORKSHOPS):
        assert re.search(rf"^  {name} +\w.*\.$", text, re.MULTILINE), name
    assert "Research use only" in text


@pytest.mark.parametrize("words", [("screen", "."), ("validate", "--table", "table.csv")])
def test_a_recalibration_is_asked_for_by_its_name_or_by_the_former_one(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "text.json").write_text("no recalibration")
    (tmp_path / "films").mkdir()
    shutil.copy(ROOT / "bmd_edge/data/demo/right_hip.dcm", tmp_path / "films")
    columns = "film,subject,side,age_years,sex,bmd_femoral_neck_gcm2,bmd_total_hip_gcm2,scale,split"
    table = f"{columns}\nright_hip.dcm,P1,R,70,F,0.8,0.9,hologic,test\n"
    (tmp_path / "films" / "table.csv").write_text(table)
    for option in ("--recalibration", "--site"):
        done = program(*words, option, tmp_path / "text.json", "--out", tmp_path / "out", cwd=tmp_path / "films")
        assert "text.json" in done.stderr, done.stderr
        assert ("--site goes with the next version: it is --recalibration." in done.stderr) == (option == "--site")
        assert done.returncode == 4
    both = ("--site", "a.json", "--recalibration", "b.json")
    done = program(*words, *both, "--out", tmp_path / "out", cwd=tmp_path / "films")
    assert done.returncode == 2
    assert "give --recalibration only" in done.stderr
    said = program(words[0], "--help").stdout
    assert "--recalibration FILE" in said
    assert "--site" not in said


def test_calibrate_says_how_to_use_what_it_writes() -> None:
    said = " ".join(program("calibrate", "--help").stdout.split())
    assert "--recalibration FILE" in said
    assert "recalibration.json" in said


def commands() -> dict[str, Callable[..., None]]:
    """Every command of the program, those of the workshops and their own commands too."""
    found = dict(main.COMMANDS)
    for name, workshop in workshops.WORKSHOPS.items():
        target = getattr(pytest.importorskip(workshop.module), workshop.attribute)
        if isinstance(target, typer.Typer):
            found |= {f"{name} {one.callback.__name__}": one.callback for one in target.registered_commands}
        else:
            found[name] = target
    return found


SHARED = {
    "device": {options.DeviceOption},
    "precision": {options.PrecisionOption},
    "threads": {options.ThreadsOption},
    "bundle": {options.BundleOption, options.BundleArgument},
    "as_json": {options.JsonOption},
    "recalibration": {options.RecalibrationOption},
    "site": {options.FormerRecalibrationOption},
}

OTHERS = {
    ("sign", "bundle"),
    ("verify", "bundle"),
    ("bundle triton", "bundle"),
    ("bundle triton", "device"),
    ("bundle monai", "bundle"),
    ("screen", "as_json"),
    ("clinic results", "as_json"),
    ("follow", "as_json"),
}
"""Must be given; a server's; JSON Lines in place of a table; and a room below the command line, which has its own."""


def test_an_option_of_several_commands_is_explained_once() -> None:
    used = set()
    for command, function in commands().items():
        for name, parameter in inspect.signature(function).parameters.items():
            if name not in SHARED or (command, name) in OTHERS:
                continue
            assert any(parameter.annotation is one for one in SHARED[name]), (command, name)
            used.add(name)
    assert used == set(SHARED)


@pytest.mark.parametrize("module", ["bmd_edge", "bmd_edge.cli", "bmd_edge.cli.main"])
def test_the_program_runs_as_a_module(module: str) -> None:
    command = [sys.executable, "-m", module, "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"bmd-edge {__version__}\n")


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1), (0, 1, 2)], ids=str)
def test_the_program_runs_where_a_supervisor_has_closed_the_standard_streams(
    closed: tuple[int, ...], bundle: Path, films: Path, tmp_path: Path
) -> None:
    command = [
        sys.executable,
        "-m",
        "bmd_edge.cli.main",
        "screen",
        films,
        "--bundle",
        bundle,
        "--out",
        tmp_path / "out",
    ]
    process = subprocess.Popen(
        [*map(str, command), "--threads", "1"], cwd=ROOT, preexec_fn=lambda: [os.close(one) for one in closed]
    )
    assert process.wait(120) in (0, 3)
    assert len((tmp_path / "out" / "results.jsonl").read_text().splitlines()) == 2
