"""The command line as a user meets it: exit codes, streams, and what each command says."""

import csv
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from bundles import tiny_bundle
from screening import CANARY, drawn_screener, hip_dicom

from bmd_edge.cli import main, options, screen, workshops
from bmd_edge.errors import EngineError
from bmd_edge.pixels import jpeg
from bmd_edge.report.film_report import RESEARCH_USE
from bmd_edge.report.schema import json_schema
from bmd_edge.screen import run
from bmd_edge.version import __version__

ROOT = Path(__file__).parents[1]
WORKSHOP_MODULE = """
import typer
def train(config: str, rate: float = typer.Option(0.1)) -> None:
    "Train something."
    {body}
    typer.echo(f"{{config}} {{rate}}")
app = typer.Typer()
@app.command()
def make(out: str, n: int = 3) -> None:
    "Make something."
    typer.echo(f"{{out}} {{n}}")
@app.command()
def check() -> None:
    "Check something."
    raise typer.Exit(5)
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny").root


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "right.dcm").write_bytes(hip_dicom("R"))
    (folder / "pelvis.dcm").write_bytes(hip_dicom("RL", bone=2100))
    return folder


def program(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program as its own process."""
    place = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    command = [sys.executable, "-m", "bmd_edge.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=place)


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Run the program in this process, reading drawn films: returns exit code, stdout, stderr."""
    monkeypatch.setattr("bmd_edge.screen.workers.Crew", lambda *_: drawn_screener())

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bmd-edge", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main.main()
        streams = capfd.readouterr()
        return end.value.code or 0, streams.out, streams.err

    return call


# -- exit codes -----------------------------------------------------------------------------------------------------


def test_0_when_everything_was_read(inside, films: Path, tmp_path: Path) -> None:
    code, out, err = inside("screen", films, "--out", tmp_path / "out")
    assert code == 0
    assert "pelvis.dcm" in out
    assert RESEARCH_USE in " ".join(out.split())
    assert "report/index.html" in err


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


def test_2_for_wrong_use(bundle: Path, films: Path, tmp_path: Path) -> None:
    for arguments in (
        ["screen", tmp_path / "none"],
        ["screen", films / "right.dcm"],
        ["screen", films, "--out", films / "out"],
        ["screen"],
        ["screen", films, "--no-such-option"],
        ["screen", films, "--bundle", bundle, "--device", "abacus"],
        ["screen", films, "--bundle", bundle, "--precision", "int3"],
        ["screen", films, "--bundle", bundle, "--spacing-mm", "-1"],
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
    listed = re.findall(r"^\| (\d) \| ", (ROOT / "bmd_edge" / "README.md").read_text(), re.MULTILINE)
    assert [int(code) for code in listed] == list(main.EXIT_CODES)


# -- screen ---------------------------------------------------------------------------------------------------------


def test_json_prints_what_is_in_the_file(inside, films: Path, tmp_path: Path) -> None:
    code, out, err = inside("screen", films, "--out", tmp_path / "out", "--json")
    assert code == 0
    assert out == (tmp_path / "out" / "results.jsonl").read_text()
    assert [json.loads(line)["file"] for line in out.splitlines()] == ["pelvis.dcm", "right.dcm"]
    assert RESEARCH_USE in err


def test_the_table_shows_the_numbers_of_the_files(inside, films: Path, tmp_path: Path) -> None:
    (films / "young.dcm").write_bytes(hip_dicom("R", PatientAge="044Y"))
    (films / "implant.dcm").write_bytes(hip_dicom("R", implant="R"))
    code, out, _ = inside("screen", films, "--out", tmp_path / "out")
    assert code == 3
    with (tmp_path / "out" / "results.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "read"]
    lines = [line for line in out.splitlines() if ".dcm" in line and "(0." in line]
    assert len(lines) == len(rows) == 4
    for line, row in zip(lines, rows, strict=True):
        assert line.split()[:2] == [row["file"], row["side"]]
        for site in ("femoral_neck", "total_hip"):
            low, high = float(row[f"low_{site}_gcm2"]), float(row[f"high_{site}_gcm2"])
            assert f"{float(row[f'bmd_{site}_gcm2']):.3f} ({low:.3f} to {high:.3f})" in line
            assert not row[f"t_score_{site}"] or f"{float(row[f't_score_{site}']):+.1f}" in line
    assert "No T-score: under 50 years." in out
    assert "The hip holds an implant." in out
    assert "implant.dcm (R)" in out
    assert "normal" not in out.lower()


def test_dry_run_changes_nothing(inside, films: Path, tmp_path: Path) -> None:
    (films / "link.dcm").symlink_to(films / "right.dcm")
    code, out, err = inside("screen", films, "--out", tmp_path / "out", "--dry-run")
    assert code == 0
    assert out.splitlines() == ["refuse  link.dcm", "read    pelvis.dcm", "read    right.dcm"]
    assert "2 to read, 0 finished before, 1 no files" in err
    assert not (tmp_path / "out").exists()
    inside("screen", films, "--out", tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    _, out, _ = inside("screen", films, "--out", tmp_path / "out", "--dry-run")
    assert out.splitlines() == ["refuse  link.dcm", "skip    pelvis.dcm", "skip    right.dcm"]
    _, out, _ = inside("screen", films, "--out", tmp_path / "out", "--dry-run", "--fresh")
    assert out.splitlines() == ["refuse  link.dcm", "read    pelvis.dcm", "read    right.dcm"]
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_terminal_escapes_in_a_file_name_are_shown_not_obeyed(inside, films: Path, tmp_path: Path) -> None:
    (films / "\x1b[2Jx[bold].dcm").write_bytes(hip_dicom("R"))
    (films / "\x1b]0;title\x07.txt").write_bytes(b"")
    for arguments in (["--dry-run"], [], ["--json"]):
        _, out, err = inside("screen", films, "--out", tmp_path / "out", *arguments)
        assert "\x1b" not in out + err
        assert "[bold]" in out


# -- the other commands ---------------------------------------------------------------------------------------------


def demo_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, object]) -> None:
    (tmp_path / "data" / "demo").mkdir(parents=True)
    (tmp_path / "data" / "demo" / "right.dcm").write_bytes(hip_dicom("R"))
    (tmp_path / "data" / "demo" / "implant.dcm").write_bytes(hip_dicom("RL", implant="L"))
    (tmp_path / "data" / "demo.json").write_text(json.dumps(expected))
    monkeypatch.setattr(screen, "__file__", str(tmp_path / "cli" / "screen.py"))


def test_demo_ends_with_0_when_every_film_is_as_expected(inside, tmp_path: Path, monkeypatch) -> None:
    read = {"status": "read", "reason": None}
    expected = {
        "right.dcm": {**read, "hips": {"R": "read"}},
        "implant.dcm": {**read, "hips": {"R": "read", "L": "implant"}},
    }
    demo_data(tmp_path, monkeypatch, expected)
    code, out, err = inside("demo", "--out", tmp_path / "out")
    assert code == 0, err
    assert "right.dcm" in out
    assert "All 2 demo films" in err
    assert (tmp_path / "out" / "report" / "index.html").is_file()


@pytest.mark.parametrize("change", [{"hips": {"R": "implant"}}, {"status": "refused"}, None])
def test_demo_ends_with_1_and_says_what_differs(inside, tmp_path: Path, monkeypatch, change) -> None:
    right = {"status": "read", "reason": None, "hips": {"R": "read"}}
    both = {"status": "read", "reason": None, "hips": {"R": "read", "L": "implant"}}
    expected = {"implant.dcm": both} | ({"right.dcm": right | change} if change else {})
    demo_data(tmp_path, monkeypatch, expected)
    code, _, err = inside("demo", "--out", tmp_path / "out")
    assert code == 1
    assert "right.dcm: expected" in err
    assert "implant.dcm: expected" not in err


def test_info(bundle: Path) -> None:
    done = program("info", bundle)
    assert done.returncode == 0, done.stderr
    assert "A bundle of tests." in done.stdout
    facts = json.loads(program("info", bundle, "--json").stdout)
    assert facts["manifest"] == json.loads((bundle / "manifest.json").read_text())
    assert facts["digest"][:16] in done.stdout
    assert set(facts["calibration"]) == set(facts["manifest"]["models"]["bmd"]["files"])
    neck = facts["guard"]["int8"]["femoral_neck"]
    assert neck["n"] >= 1000
    assert neck["passed"] is True
    assert {"limits", "mean_shift_gcm2", "p95_shift_gcm2", "p99_shift_gcm2", "rmse_change"} <= set(neck)
    assert {"rmse_change_upper95", "flips", "per_maker"} <= set(neck)
    assert f"{neck['n']} hips moved by {neck['p99_shift_gcm2']:.4f} or less" in done.stdout


def test_doctor(bundle: Path) -> None:
    done = program("doctor", bundle)
    assert done.returncode == 0, done.stdout + done.stderr
    for said in (
        "python",
        "onnxruntime",
        "JPEG 2000",
        "1.2.840.10008.1.2.4.90",
        "self-test of bmd, int8",
        "all files verified",
    ):
        assert said in done.stdout
    assert "FAIL" not in done.stdout


def test_doctor_names_a_failed_self_test(bundle: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_bundle: object, model: str, _engine: object) -> dict[str, float]:
        raise EngineError(f"{model} is off by 1")

    monkeypatch.setattr("bmd_edge.cli.doctor.self_test", fail)
    monkeypatch.setattr(sys, "argv", ["bmd-edge", "doctor", str(bundle)])
    with pytest.raises(SystemExit) as end:
        main.main()
    assert end.value.code == 4
    assert re.search("FAIL +self-test of finder, fp32 +finder is off by 1", capsys.readouterr().out)


def test_doctor_tests_the_decoders(bundle: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    good = jpeg._DECODERS["jpeg_ls"]
    monkeypatch.setitem(jpeg._DECODERS, "jpeg_ls", lambda data: good(data) + 1)
    monkeypatch.setattr(sys, "argv", ["bmd-edge", "doctor", str(bundle)])
    with pytest.raises(SystemExit) as end:
        main.main()
    assert end.value.code == 4
    said = capsys.readouterr().out
    assert re.search("FAIL +reads JPEG-LS Lossless +decodes wrongly: pip install", said)
    assert re.search("ok +reads JPEG 2000 Lossless", said)


@pytest.mark.parametrize(
    ("wheels", "said"), [([], "onnxruntime is not installed"), (["onnxruntime", "onnxruntime-gpu"], "both")]
)
def test_doctor_names_a_missing_or_doubled_engine(bundle: Path, capsys, monkeypatch, wheels, said) -> None:
    monkeypatch.setattr("bmd_edge.cli.doctor.versions", lambda: dict.fromkeys(wheels, "1"))
    monkeypatch.setattr(sys, "argv", ["bmd-edge", "doctor", str(bundle)])
    with pytest.raises(SystemExit) as end:
        main.main()
    assert end.value.code == 4
    assert said in capsys.readouterr().out


def test_schema() -> None:
    done = program("schema")
    assert done.returncode == 0
    assert json.loads(done.stdout) == json_schema()


def test_every_command_has_a_line_in_the_help() -> None:
    text = program("--help").stdout
    for name in ("screen", "demo", "info", "doctor", "schema", *workshops.WORKSHOPS):
        assert re.search(rf"^  {name} +\w.*\.$", text, re.MULTILINE), name
    assert "Research use only" in text


# -- workshop commands ----------------------------------------------------------------------------------------------


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a workshop module and register `train` and `phantom` of it on a new program."""

    def write(body: str = "pass") -> None:
        (tmp_path / "made_up_workshop.py").write_text(WORKSHOP_MODULE.format(body=body))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "made_up_workshop", raising=False)
        fresh = typer.Typer(pretty_exceptions_enable=False)
        fresh.callback()(lambda: None)
        monkeypatch.setattr(main, "app", fresh)
        for name, attribute in (("train", "train"), ("phantom", "app")):
            workshops.register(fresh, name, workshops.Workshop("made_up_workshop", attribute, "train", "Help."))

    return write


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["train", "c.toml"], 0, "c.toml 0.1"),
        (["train", "c.toml", "--rate", "2"], 0, "c.toml 2.0"),
        (["train", "--rate", "2", "c.toml"], 0, "c.toml 2.0"),
        (["train", "--help"], 0, "bmd-edge train"),
        (["train"], 2, "Missing argument"),
        (["phantom", "make", "out", "--n", "4"], 0, "out 4"),
        (["phantom", "check"], 5, ""),
        (["phantom", "--help"], 0, "Check something."),
    ],
)
def test_a_workshop_command_gets_its_own_arguments(inside, workshop, arguments, code, said) -> None:
    workshop()
    found, out, err = inside(*arguments)
    assert found == code, err
    assert said in out + err


@pytest.mark.parametrize("where", ["import no_such_library", "from no_such_library.deep import x"])
def test_a_missing_extra_ends_with_2_and_names_it(inside, workshop, where: str) -> None:
    workshop(where)
    code, out, err = inside("train", "c.toml")
    assert (code, out) == (2, "")
    assert "no_such_library is not installed: pip install '.[train]' in a checkout" in err


def test_registered_workshops_exist() -> None:
    from importlib.util import find_spec

    for workshop in workshops.WORKSHOPS.values():
        assert find_spec(workshop.module), workshop


# -- streams ----------------------------------------------------------------------------------------------------------


def test_a_terminal_without_unicode_gets_escapes(films: Path, tmp_path: Path) -> None:
    (films / "李.txt").write_text("")
    place = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    code = (
        "import sys, bmd_edge.screen.run\n"
        "sys.path.append('tests'); from screening import drawn_screener\n"
        "bmd_edge.screen.workers.Crew = lambda *_: drawn_screener()\n"
        "from bmd_edge.cli.main import main; main()"
    )
    command = [sys.executable, "-c", code, "screen", films, "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=place)
    assert done.returncode == 3, done.stderr
    assert "\\u674e.txt" in done.stdout
    assert "right.dcm" in done.stdout


def test_a_reader_that_goes_away_gives_no_traceback() -> None:
    command = f"'{sys.executable}' -m bmd_edge.cli.main schema | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_a_folder_that_cannot_be_written_is_named_without_its_path(inside, films: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = inside("screen", films, "--out", tmp_path / "file" / "out")
    assert code == 1
    assert "Not a directory" in err
    assert str(tmp_path) not in err


def test_ctrl_c_says_how_to_go_on(inside, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(2))
    examine = run._examine

    def stop(*arguments):
        for result in examine(*arguments):
            if next(calls):
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(run, "_examine", stop)
    code, out, err = inside("screen", films, "--out", tmp_path / "out")
    assert (code, out) == (130, "")
    assert "run the same command again" in err
    monkeypatch.setattr(run, "_examine", examine)
    _, out, _ = inside("screen", films, "--out", tmp_path / "out", "--dry-run")
    assert sorted(line.split()[0] for line in out.splitlines()) == ["read", "skip"]


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


# -- options of several commands ----------------------------------------------------------------------------------


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

OTHERS = {("sign", "bundle"), ("verify", "bundle"), ("screen", "as_json")}
"""Must be given; and JSON Lines in place of a table."""


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
