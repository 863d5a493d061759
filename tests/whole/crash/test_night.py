"""A night of a clinic, as one script: whatever happens to films and machine, no result is lost."""

import json
import os
import shutil
from pathlib import Path

from bmd_edge.screen import screener as screener_module
from bmd_edge.screen.run import screen_folder
from tests.support.screening import drawn_screener, hip_dicom


def screened(folder: Path, out: Path) -> dict[str, str]:
    """Screen once; film_id -> where the film is now, of all results with a number."""
    with drawn_screener() as screener:
        screen_folder(screener, folder, out)
    lines = map(json.loads, (out / "results.jsonl").read_text().splitlines())
    return {line["film_id"]: line["film_now"] for line in lines if line["status"] == "read"}


def film(path: Path, bone: int) -> None:
    path.write_bytes(hip_dicom("R", bone=bone))
    os.utime(path, (1.7e9 + bone, 1.7e9 + bone))


def test_a_night_ends_with_every_result_that_was_ever_written(tmp_path: Path, monkeypatch) -> None:
    share, away, out, other = (tmp_path / name for name in ("share", "away", "out", "other"))
    share.mkdir(), other.mkdir()
    for number in range(4):
        film(share / f"{number}.dcm", 1600 + 60 * number)
    first = screened(share, out)
    ever = set(first)

    share.rename(away)  # the share is lost: its mount point is empty
    share.mkdir()
    assert set(screened(share, out).values()) == {"missing"}
    share.rmdir()
    away.rename(share)  # and back
    assert screened(share, out) == first

    (share / "0.dcm").unlink()  # archived
    film(other / "1.dcm", 2300)  # another folder, with a name that the first one has
    ever |= set(screened(other, out))
    assert set(screened(share, out)) == ever

    monkeypatch.setattr(screener_module, "__version__", "99")  # the program is upgraded
    found = screened(share, out)
    assert (set(found), sorted(found.values())) == (ever, ["missing", "replaced", "there", "there", "there"])

    shutil.rmtree(share)  # the folder is emptied for good
    share.mkdir()
    found = screened(share, out)
    assert (set(found), set(found.values())) == (ever, {"missing", "replaced"})
