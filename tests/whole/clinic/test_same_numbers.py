"""One number everywhere: results.csv of `screen`, and what readers of others find in all that a box makes of the film.

The demo's films are read with the embedded bundle: the report by DCMTK's `dsrdump`, the pages by `pdftotext`, the page
of today's films by HTTP.
"""

import csv
import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from urllib.request import urlopen

import pydicom
import pytest

import bmd_edge
from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal import films
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page.server import page_server
from bmd_edge.clinic.reading.work import opener
from bmd_edge.errors import REFUSALS
from bmd_edge.report.film_report import RESEARCH_USE
from tests.bmd_edge.cli.program import program
from tests.bmd_edge.clinic.delivery.archives import Archive
from tests.bmd_edge.clinic.reading.readers import box, put, read_all
from tests.support.clinic import free_port, needs
from tests.support.clinic.viewer import numbers_of_csv

DEMO = sorted((Path(bmd_edge.__file__).parent / "data" / "demo").glob("*.dcm"))
SITES = {"29627003": "femoral_neck", "310651003": "total_hip"}
Numbers = dict[tuple[str, str, str], str]
"""(side, site, bmd | low | high | t_score) -> the number as it is printed."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A box that has read the demo's films into every kind of object and the resources of a record."""
    place = tmp_path_factory.mktemp("box")
    everything = Archive(free_port()).lines(', objects = ["sr", "sc", "gsps", "pdf"]')
    record = f'pacs.record = {{ kind = "fhir", url = "http://127.0.0.1:{free_port()}/fhir" }}'
    page = f'page = {{ bind = "127.0.0.1:{free_port()}" }}\nlanguage = "en"'
    made = box(place, f'{everything}\n{record}\n{page}\nreading = {{ device = "cpu" }}')
    with Journal(made.root) as journal:
        put(made, journal, *(path.read_bytes() for path in DEMO))
        read_all(made, journal, opener(made))
    return made


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """results.csv of the same films, as the command writes it."""
    place = tmp_path_factory.mktemp("screened")
    (place / "films").mkdir()
    for path in DEMO:
        shutil.copy(path, place / "films")
    done = program("screen", place / "films", "--out", place / "out", "--device", "cpu")
    assert done.returncode in (0, 3), done.stderr
    return place / "out" / "results.csv"


def expected(table: Path) -> dict[str, tuple[Numbers, set[str]]]:
    """By film the numbers of its rows, and the reasons of those without."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    ids = dict.fromkeys(row["film_id"] for row in rows)
    reasons = {one: {row["reason"] for row in rows if row["film_id"] == one and row["reason"]} for one in ids}
    return {one: (numbers_of_csv(table, one), reasons[one]) for one in ids}


def files(config: Config, film: str) -> dict[str, Path]:
    with Journal(config.root) as journal:
        (found,) = films.films_named(journal, film)
        return {one.kind: config.root / one.path for one in films.objects_of(journal, found.film_key)}


# -- what others read -----------------------------------------------------------------------------------------------


def dumped(report: Path) -> tuple[Numbers, str]:
    """What DCMTK prints of a report: its numbers, and all of it."""
    said = subprocess.run(["dsrdump", "-q", "+Pl", "+Pc", report], capture_output=True, text=True, check=True).stdout
    found: Numbers = {}
    side = site = what = value = ""
    for line in said.splitlines():
        if "Measurement Group" in line:
            side = ""
        elif at := re.search(r'"Laterality"\)=\(\d+,SCT,"(Right|Left)"\)', line):
            side = at[1][0]
        elif at := re.search(r'<contains NUM:\(([\w-]+),99BMDEDGE,"[^"]+"\)="([^"]+)" \((\S+),UCUM', line):
            what, value = ("t_score" if at[1] == "t-score-rx" else "bmd"), at[2]
            assert at[3] == {"t_score": "{T-score}", "bmd": "g/cm2"}[what]
        elif (at := re.search(r'"Finding Site"\)=\((\d+),SCT', line)) and at[1] in SITES:
            site = SITES[at[1]]
            found[side, site, what] = value
        elif at := re.search(r'<has properties NUM:\((\d+),SCT,"[+-], range [^"]+"\)="([^"]+)" \(g/cm2,UCUM', line):
            bound, sign = {"371886008": ("high", 1), "371885007": ("low", -1)}[at[1]]
            found[side, site, bound] = f"{float(value) + sign * float(at[2]):.4f}"
    return found, said


def resources(bundle: Path) -> tuple[Numbers, str]:
    """What the Observations of a film say."""
    text = bundle.read_text(encoding="ascii")
    found: Numbers = {}
    for one in (entry["resource"] for entry in json.loads(text, parse_float=str)["entry"]):
        if "valueQuantity" not in one:
            continue
        place = {coding["code"]: coding["display"] for coding in one["bodySite"]["coding"]}
        key = next((name[0] for name in ("Right", "Left") if name in place.values()), ""), SITES[next(iter(place))]
        assert one["valueQuantity"]["code"] == "g/cm2"
        found[*key, "bmd"] = one["valueQuantity"]["value"]
        for part in one["component"]:
            if bounds := part.get("valueRange"):
                found |= {(*key, bound): bounds[bound]["value"] for bound in ("low", "high")}
                assert {bounds[bound]["code"] for bound in ("low", "high")} == {"g/cm2"}
            elif part.get("valueQuantity"):
                found[*key, "t_score"] = part["valueQuantity"]["value"]
    return found, text


PRINTED = re.compile(
    r"(?:([RL]) )?(neck|total) (\d\.\d{3}) g/cm2(?:, T ([+-]\d\.\d))? 90 % interval (\d\.\d{3}) to (\d\.\d{3}) g/cm2"
)
ON_THE_PAGE = re.compile(r"(neck|total hip) (\d\.\d{3}) g/cm²(?:, T ([+\N{MINUS SIGN}]\d\.\d))? 90 %: (\S+) to (\S+)")


def printed(text: str) -> tuple[Numbers, str]:
    """What a text for people says, its lines broken wherever."""
    said = " ".join(text.split())
    found: Numbers = {}
    for side, name, *values in PRINTED.findall(said):
        site = {"neck": "femoral_neck", "total": "total_hip"}[name]
        found |= _named(side, site, values)
    return found, said


def _named(side: str, site: str, values: list[str]) -> Numbers:
    bmd, t_score, low, high = values
    made = {"bmd": bmd, "low": low, "high": high} | ({"t_score": t_score} if t_score else {})
    return {(side, site, what): value for what, value in made.items()}


def by_words(kind: str, path: Path) -> tuple[Numbers, str]:
    data = pydicom.dcmread(path)
    if kind == "sc":
        return printed(str(data.ImageComments))
    if kind == "gsps":
        (annotation,) = data.GraphicAnnotationSequence
        return printed(" ".join(one.UnformattedTextValue for one in annotation.TextObjectSequence))
    pdf = subprocess.run(["pdftotext", "-", "-"], input=data.EncapsulatedDocument, capture_output=True, check=True)
    return printed(pdf.stdout.decode())


def on_the_page(page: str, film: str) -> tuple[Numbers, str]:
    """What the row of a film says, with the notice above all rows."""
    row = page.split(f'<tr id="film-{film}"')[1].split("</tr>")[0]
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", row)).split())
    text = re.sub(r" (?=,)", "", text)
    found: Numbers = {}
    for part in re.split(r"(?=Right hip neck|Left hip neck|Hip, side unknown neck)", text)[1:]:
        side = part[0] if part[0] in "RL" else ""
        for name, *values in ON_THE_PAGE.findall(part):
            values[1] = values[1].replace("\N{MINUS SIGN}", "-")
            found |= _named(side, {"neck": "femoral_neck", "total hip": "total_hip"}[name], values)
    return found, f"{text} {RESEARCH_USE if RESEARCH_USE in page else ''}"


# -- they say the same ------------------------------------------------------------------------------------------------


def test_every_reader_finds_the_numbers_of_results_csv(config: Config, table: Path) -> None:
    needs("dsrdump", "pdftotext")
    with page_server(config) as url, urlopen(url) as answer:
        page = answer.read().decode()
    count = 0
    for film, (cells, reasons) in expected(table).items():
        made = files(config, film)
        whole = {"sr": dumped(made["sr"]), "fhir": resources(made["fhir"])}
        short = {kind: by_words(kind, made[kind]) for kind in ("sc", "gsps", "pdf")} | {"page": on_the_page(page, film)}
        for kind, (found, _) in whole.items():
            assert found.keys() == cells.keys(), kind
            assert {key: float(one) for key, one in found.items()} == {k: float(one) for k, one in cells.items()}, kind
        of_people = {
            key: f"{float(one):+.1f}" if key[2] == "t_score" else f"{float(one):.3f}" for key, one in cells.items()
        }
        for kind, (found, _) in short.items():
            assert found == of_people, kind
        for kind, (_, said) in (whole | short).items():
            assert RESEARCH_USE in said, kind
            for reason in reasons:
                assert REFUSALS[reason].sentence in said, kind
                assert REFUSALS[reason].remedy in said, kind
        count += len(cells)
    assert count > 30
