"""A results folder as it is read back, and a screener that counts what it reads."""

import json
import os
from pathlib import Path

from bmd_edge.report.film_report import RunSummary
from bmd_edge.screen.run import screen_folder
from bmd_edge.screen.screener import Screener
from tests.support.screening import drawn_bmd, drawn_bundle, drawn_finder, hip_dicom

FILES = ("results.csv", "results.jsonl", "run.json", "report/index.html")


def objects(out: Path) -> dict[str, dict]:
    lines = (out / "results.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert len({(item["file"], item["film_now"] == "replaced" and item["film_id"]) for item in found}) == len(lines)
    return {item["file"]: item for item in found}


def contents(out: Path) -> dict[str, bytes]:
    paths = [out / name for name in FILES] + sorted((out / "report").iterdir())
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


class Counting(Screener):
    """Counts what is really read."""

    def __init__(self, **settings: object) -> None:
        super().__init__(drawn_bundle(), engines={"finder": drawn_finder(), "bmd": drawn_bmd()}, **settings)
        self.names: list[str] = []

    def load(self, source):
        self.names.append(Path(source).name)
        return super().load(source)


LONG_AGO = 1_700_000_000


def names_read(folder: Path, out: Path) -> tuple[RunSummary, list[str]]:
    """Screen a folder; returns the summary and the names of the films that were read."""
    with Counting() as screener:
        summary = screen_folder(screener, folder, out)
        return summary, sorted(screener.names)


def three_films(folder: Path) -> Path:
    """a.dcm, b.dcm and c.dcm in a new folder, of different bone and written long ago."""
    folder.mkdir()
    for index, name in enumerate("abc"):
        path = folder / f"{name}.dcm"
        path.write_bytes(hip_dicom("R", bone=1700 + 80 * index))
        os.utime(path, (LONG_AGO + index, LONG_AGO + index))
    return folder
