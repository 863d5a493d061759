"""Whether objects of mixed films are valid DICOM: python -m tests.whole.clinic.valid --out FILE

Films are drawn, each from a seed: hips and refusals, men and women, sides that are known and not, character sets of
four kinds and an empty one. dicom3tools' `dciodvfy` looks at each object, its `dcentvfy` at those of a film together.
"""

import argparse
import io
import json
import random
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom

from bmd_edge.clinic.objects.make import Made
from bmd_edge.report.film_report import FilmReport
from tests.bmd_edge.clinic.objects.said import KINDS, said_of
from tests.support.screening import hip_dicom

LATIN = {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Jürgen", "PatientID": "ä1"}
KANJI = {
    "SpecificCharacterSet": ["", "ISO 2022 IR 87"],
    "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
}
UTF8 = {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Łukasz^Żółć=山田^太郎"}
NAMED = {"ASCII": {}, "Latin-1": LATIN, "kanji": KANJI, "UTF-8": UTF8, "empty": {"SpecificCharacterSet": ""}}
NAMED |= {"no name": {"PatientName": ""}}
_HIPS = ("R", ""), ("L", ""), ("RL", ""), ("RL", "L"), ("R", "R"), ("", "")
_REFUSED = {"ImagerPixelSpacing": None}, {"BodyPartExamined": "CHEST"}, {"PatientAge": "012Y"}
SYSTEM = Path("/usr/bin")
"""Where Debian's dicom3tools are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """A film; which of `NAMED` its names are; `sided`: its hips' sides are told."""

    film: bytes
    names: str
    sided: bool


def mixed(number: int) -> Mixed:
    """A film of a seed: which hips, and who the patient is, in every mix."""
    draw = random.Random(number)
    names = draw.choice(list(NAMED))
    header: dict[str, Any] = {**NAMED[names], "SeriesNumber": number}
    header |= {"PatientSex": draw.choice(["F", "M", "O", None]), "PatientAge": draw.choice(["071Y", "045Y", None])}
    header |= {"PhotometricInterpretation": draw.choice(["MONOCHROME2", "MONOCHROME2", "MONOCHROME1"])}
    header |= {"ImageLaterality": draw.choice(["R", "L", "B", ""])}
    gone = ("PatientName", "PatientID", "EstimatedRadiographicMagnificationFactor", "ViewPosition")
    header |= dict.fromkeys(draw.sample(gone, draw.randrange(3)))
    header |= draw.choice(_REFUSED) if draw.random() < 0.2 else {}
    hips, implant = draw.choice(_HIPS)
    return Mixed(film=hip_dicom(hips, implant=implant, **header), names=names, sided=draw.random() < 0.8)


def errors(tool: Path | str, *files: Path) -> list[str]:
    """What a tool of dicom3tools calls an error in files."""
    done = subprocess.run([tool, *files], capture_output=True, text=True, errors="replace")
    said = (done.stdout + done.stderr).splitlines()
    assert said, "the tool says something of every object"
    return [line for line in said if line.startswith("Error")]


def faults(one: Mixed, place: Path, tools: Path = SYSTEM) -> tuple[FilmReport, dict[str, Made], list[str]]:
    """The report of a film, its objects, and what is wrong with these; `place` gets their files."""
    report, made = said_of(one.film, sided=one.sided)
    (place / "film.dcm").write_bytes(in_utf8(one.film))
    for kind in KINDS:
        (place / f"{kind}.dcm").write_bytes(made[kind].data)
    return report, made, list(_faults(place, tools))


def _faults(place: Path, tools: Path) -> Iterator[str]:
    files = [place / f"{kind}.dcm" for kind in KINDS]
    for path in files:
        yield from (f"{path.stem}: {line}" for line in errors(tools / "dciodvfy", path))
    yield from errors(tools / "dcentvfy", place / "film.dcm", *files)


def in_utf8(film: bytes) -> bytes:
    """A film whose names are UTF-8, as those of its objects: to dcentvfy, which compares bytes, others are others."""
    data = pydicom.dcmread(io.BytesIO(film))
    data.decode()
    data.SpecificCharacterSet = "ISO_IR 192"
    file = io.BytesIO()
    data.save_as(file)
    return file.getvalue()


def counted(n: int, tools: Path) -> dict[str, Any]:
    """Make and look at the objects of `n` films."""
    count: dict[str, Counter[str]] = {}
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(n):
            one = mixed(number)
            report, made, wrong = faults(one, Path(folder), tools)
            found += [f"film {number}: {line}" for line in wrong]
            facts = {"objects": list(made), "names": [one.names], "sex": [report.sex or "unknown"]}
            facts |= {"films": [report.status], "side_of_hips": [hip.side or "unknown" for hip in report.hips]}
            facts |= {"reasons": {one.reason for one in (report, *report.hips) if one.reason}}
            for name, values in facts.items():
                count.setdefault(name, Counter()).update(values)
    return {**{name: dict(sorted(values.items())) for name, values in count.items()}, "errors": found}


def main() -> None:
    """Look, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=200, help="how many (%(default)s)")
    parser.add_argument("--tools", type=Path, default=SYSTEM, help="folder of dciodvfy and dcentvfy (%(default)s)")
    parser.add_argument("--named", default="Debian", help="which dicom3tools these are (%(default)s)")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    said = {"command": "python -m tests.whole.clinic.valid", "films_are": "synthetic, drawn", "tools": given.named}
    given.out.write_text(json.dumps(said | counted(given.films, given.tools), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
