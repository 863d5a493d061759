"""The command as a process: refusals are one line and an exit code."""

import subprocess
import sys
from pathlib import Path


def run(*words: object) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "bmd_edge", *map(str, words)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def test_too_few_films_are_refused_in_a_line(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}.dcm").write_bytes(b"x")
    code, said = run("adapt", "embedded", tmp_path, "--out", tmp_path.with_name("out"))
    assert code == 2
    assert said.strip().splitlines()[-1].startswith(f"bmd-edge: {tmp_path.name}: 20 films; an adaptation takes 50")
    assert "Traceback" not in said
    again, said = run("adapt", "embedded", tmp_path / "0.dcm", "--out", tmp_path.with_name("out"))  # the same --out
    assert (again, "0.dcm: no such folder; give the folder" in said) == (2, True)


def test_a_folder_of_other_things_is_refused_with_their_reasons(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    films = tmp_path / "films"
    films.mkdir()
    for number in range(50):
        (films / f"{number}.dcm").write_bytes(b"no film")
    code, said = run("adapt", "embedded", films, "--out", tmp_path / "out")
    assert code == 2
    assert "bmd-edge: films: 50 of 50 films are refused (50 not_dicom" in said
    assert (tmp_path / "out" / "left_out.csv").read_text().count("not_dicom") == 50
    assert "Traceback" not in said
