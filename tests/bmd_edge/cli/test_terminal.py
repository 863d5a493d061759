"""What is shown on a terminal: the numbers of the files, and no escapes of theirs."""

import csv
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from bmd_edge.cli.terminal import progress_bar
from tests.support.screening import hip_dicom

ROOT = Path(__file__).parents[3]


def test_the_table_shows_the_numbers_of_the_files(inside, films: Path, tmp_path: Path) -> None:
    (films / "young.dcm").write_bytes(hip_dicom("L", PatientAge="044Y"))
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


def test_what_is_no_film_and_what_repeats_another_stands_apart(inside, films: Path, tmp_path: Path) -> None:
    (films / "README.TXT").write_text("Dear colleague")
    (films / "archive").symlink_to(tmp_path)
    (films / "right again.dcm").write_bytes((films / "right.dcm").read_bytes())
    code, out, _ = inside("screen", films, "--out", tmp_path / "out")
    assert code == 0
    assert "1 file left out. The file is not a DICOM file." in out
    assert "  Nothing need be done: texts, viewers, pictures and the like may stay beside films.\n  README.TXT\n" in out
    assert "1 file left out. The entry is a link, and none is followed in a folder." in out
    assert "1 copy. The same image as another file" in out
    assert "right again.dcm (see right.dcm)" in out
    assert "5 files: 2 read, 0 refused, 0 failed, 2 left out, 1 shown by another file. 3 hips with a number" in out
    assert len([line for line in out.splitlines() if "(0." in line]) == 3


def test_what_must_be_read_at_once_is_said_first_and_not_cut(
    inside, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nine broken hips, which the drawn finder takes for implants, among those that nobody need hurry for."""
    monkeypatch.setattr("bmd_edge.cli.terminal.AT_ONCE", frozenset({"implant"}))
    for k in range(9):
        (films / f"broken{k}.dcm").write_bytes(hip_dicom("R", bone=1900 + 20 * k, implant="R"))
        (films / f"text{k}.dcm").write_text(f"no film {k}")
    _, out, _ = inside("screen", films, "--out", tmp_path / "out")
    assert out.startswith("9 hips without a number. The hip holds an implant.\n")
    at_once, rest = out.split("\n\n", 1)
    assert all(f"broken{k}.dcm (R)" in at_once for k in range(9))
    assert "broken" not in rest
    assert "and 3 more in results.csv" in rest


def test_one_uid_for_two_pictures_is_named(inside, films: Path, tmp_path: Path) -> None:
    for bone in (1900, 2000):
        (films / f"{bone}.dcm").write_bytes(hip_dicom("R", bone=bone, SOPInstanceUID="1.2.3"))
    _, out, _ = inside("screen", films, "--out", tmp_path / "out")
    assert "2 files in conflict. Another file has the same SOP Instance UID and another picture" in out
    assert "Find out which is right; until then both count." in out
    assert "1900.dcm (see 2000.dcm), 2000.dcm (see 1900.dcm)" in out
    assert "4 files: 4 read" in out


def test_sentences_beside_the_results_end_their_lines_between_words() -> None:
    ours, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    code = "from bmd_edge.cli.terminal import say; say('folder ' * 20)"
    place = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    place |= {"PYTHONPATH": str(ROOT), "TERM": "xterm"}
    subprocess.run([sys.executable, "-c", code], stderr=terminal, check=True, env=place)
    os.close(terminal)
    lines = os.read(ours, 1000).decode().split("\r\n")
    os.close(ours)
    assert max(map(len, lines)) <= 40
    assert set(" ".join(lines).split()) == {"folder"}


def test_terminal_escapes_in_a_file_name_are_shown_not_obeyed(inside, films: Path, tmp_path: Path) -> None:
    (films / "\x1b[2Jx[bold].dcm").write_bytes(hip_dicom("R"))
    (films / "\x1b]0;title\x07.txt").write_bytes(b"")
    for arguments in (["--dry-run"], [], ["--json"]):
        _, out, err = inside("screen", films, "--out", tmp_path / "out", *arguments)
        assert "\x1b" not in out + err
        assert "[bold]" in out


def test_a_terminal_without_unicode_gets_escapes(films: Path, tmp_path: Path) -> None:
    (films / "李.txt").write_text("")
    place = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    code = (
        "import sys, bmd_edge.screen.workers\n"
        "from tests.support.screening import drawn_screener\n"
        "bmd_edge.screen.workers.Crew = lambda *_: drawn_screener()\n"
        "from bmd_edge.cli.main import main; main()"
    )
    command = [sys.executable, "-c", code, "screen", films, "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=place)
    assert done.returncode == 0, done.stderr
    assert "\\u674e.txt" in done.stdout
    assert "right.dcm" in done.stdout


def test_progress_in_a_pipe_is_a_line_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_bar("hips found") as tell:
        tell(1, 3)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("bmd_edge.cli.minutes.EVERY_S", 0.0)
    with progress_bar("hips found") as tell:
        tell(1, 3)
        tell(2, 3)
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "hips found: 1 of 3",
        "hips found: 2 of 3",
    ]
