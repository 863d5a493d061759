"""Results files and pages: the schema, the CSV's safety, and pages that stand alone."""

import csv
import json
import re
from contextlib import closing
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image
from screening import NOTICE, drawn_screener, hip_dicom

from bmd_edge.errors import FLAGS, REFUSALS
from bmd_edge.film.film import FilmFacts
from bmd_edge.film.read import read_film
from bmd_edge.measure.t_score import T_SCORE_REASONS, WHO_RANGES
from bmd_edge.report import pages
from bmd_edge.report.film_report import RESEARCH_USE, FilmReport, RunSummary, count
from bmd_edge.report.pages import write_pages
from bmd_edge.report.results import CSV_COLUMNS, json_line, write_csv, write_jsonl
from bmd_edge.report.safe_text import visible
from bmd_edge.report.schema import json_schema
from bmd_edge.report.thumbnail import Thumbnail, thumbnail
from bmd_edge.screen.jobs import Loaded
from bmd_edge.screen.ledger import Ledger

HOSTILE = "=cmd|' /C calc'!A0<script>alert(1)</script>{{7*7}}\x1b[31m\u202e\r\n"


@pytest.fixture(scope="module")
def reports() -> dict[str, FilmReport]:
    films = {
        "right": hip_dicom("R"),
        "pelvis": hip_dicom("RL", implant="L"),
        "implant": hip_dicom("R", implant="R"),
        "young": hip_dicom("R", PatientAge="044Y"),
        "unknown": hip_dicom("R", PatientAge=None, PatientSex=None, Manufacturer=None, KVP=None),
        "nothing": hip_dicom(""),
        "text": b"text",
    }
    with drawn_screener() as screener:
        return {name: screener.read(data, file=f"{name}.dcm") for name, data in films.items()}


def summary_of(reports: list[FilmReport]) -> RunSummary:
    return RunSummary(
        schema_version=1, versions={"bmd-edge": "0"}, bundle="test", bundle_digest="ab" * 32, device="cpu",
        precision="fp32", spacing_given_mm=None, notice=NOTICE, **count(reports),
    )  # fmt: skip


def index_page(folder: Path, reports: list[FilmReport], picture: Thumbnail | None = None) -> str:
    write_pages(folder, ((report, picture) for report in reports), summary_of(reports))
    return (folder / "index.html").read_text(encoding="utf-8")


# -- results.jsonl --------------------------------------------------------------------------------------------------


def test_every_line_satisfies_the_schema(reports: dict[str, FilmReport], tmp_path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    check = jsonschema.Draft202012Validator(json_schema())
    write_jsonl(tmp_path / "results.jsonl", reports.values())
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert len(lines) == len(reports)
    for line in lines:
        check.validate(json.loads(line))
    assert {json.loads(line)["status"] for line in lines} == {"read", "refused"}


def test_the_fields_are_those_of_the_contract(reports: dict[str, FilmReport]) -> None:
    film = json.loads(json_line(reports["right"]))
    assert " ".join(film) == (
        "schema_version file film_id status reason warnings sop_instance_uid study_instance_uid spacing_mm"
        " spacing_source view age_years sex maker model kvp exposure_index bundle bundle_digest site_calibration device"
        " precision band hips band_meaning"
    )
    assert " ".join(film["hips"][0]) == "side status reason landmarks_px estimates"
    assert " ".join(film["hips"][0]["estimates"][0]) == (
        "site bmd_gcm2 low_gcm2 high_gcm2 t_score t_score_reason flags"
    )


def test_the_schema_refuses_what_must_not_be(reports: dict[str, FilmReport]) -> None:
    check = jsonschema.Draft202012Validator(json_schema())

    def broken(name: str, change) -> bool:
        film = json.loads(json_line(reports[name]))
        change(film)
        return not check.is_valid(film)

    assert broken("right", lambda film: film.update(status="refused", reason="implant"))  # a number on a refused film
    assert broken("right", lambda film: film["hips"][0].update(status="refused", reason="implant"))
    assert broken("implant", lambda film: film.update(status="read", reason=None))
    assert broken("right", lambda film: film.update(reason="implant"))
    assert broken("text", lambda film: film.update(reason=None))
    assert broken("text", lambda film: film.update(reason="a_new_code"))
    assert broken("right", lambda film: film["hips"][0]["estimates"].pop())
    assert broken("right", lambda film: film["hips"][0]["estimates"][0].update(bmd_gcm2=0.2))
    assert broken("right", lambda film: film.update(patient_name="x"))
    assert broken("right", lambda film: film.pop("band"))
    assert broken("right", lambda film: film.update(band="osteoporosis"))
    assert not broken("right", lambda film: film.update(band="refer_for_dxa"))


def test_an_unknown_fact_is_null(reports: dict[str, FilmReport]) -> None:
    film = json.loads(json_line(reports["unknown"]))
    assert [film[name] for name in ("age_years", "sex", "maker", "kvp", "exposure_index", "band")] == [None] * 6
    assert {row["t_score"] for row in film["hips"][0]["estimates"]} == {None}
    assert {row["t_score_reason"] for row in film["hips"][0]["estimates"]} == {"age_unknown"}


def test_flags_of_film_and_hip_stand_beside_every_estimate(tmp_path: Path) -> None:
    """A number never goes out without its cautions, whichever of film, hip and age they come from."""
    unsure = {"EstimatedRadiographicMagnificationFactor": None, "ViewPosition": None, "ImageLaterality": "L"}
    with drawn_screener() as screener:
        report = screener.read(hip_dicom("R", **unsure), file="a.dcm")
    expected = {"magnification_assumed", "view_unknown", "side_contradiction", "assumed_postmenopausal"}
    write_jsonl(tmp_path / "results.jsonl", [report])
    write_csv(tmp_path / "results.csv", [report])
    (hip,) = json.loads((tmp_path / "results.jsonl").read_text())["hips"]
    assert [set(estimate["flags"]) for estimate in hip["estimates"]] == [expected, expected]
    (row,) = rows_of(tmp_path / "results.csv")
    assert row["flags"].split() == [flag for flag in FLAGS if flag in expected]


# -- facts of the header --------------------------------------------------------------------------------------------


def test_every_fact_of_the_header_is_said_everywhere(tmp_path: Path) -> None:
    """Each field of FilmFacts is in results.jsonl, its schema and results.csv, in the ledger, and on the page."""
    values = {int: 1000, str | None: "stated", float | None: 90.5}
    facts = {
        fact.name: values[fact.type] + (str(n) if fact.type == str | None else n)
        for n, fact in enumerate(fields(FilmFacts))
        if fact.name not in ("sex", "spacing_mm")
    } | {"sex": "F", "spacing_mm": (0.125, 0.1875)}
    film = replace(read_film(hip_dicom("R")), **facts)
    with drawn_screener() as screener:
        report = screener.measure(Loaded(film.film_id, film), "a.dcm")

    line = json.loads(json_line(report))
    assert {name: line[name] for name in facts} == {**facts, "spacing_mm": [0.125, 0.1875]}
    jsonschema.Draft202012Validator(json_schema()).validate(line)
    assert set(facts) <= set(json_schema()["required"])

    write_csv(tmp_path / "results.csv", [report])
    cells = {**facts, "spacing_row_mm": 0.125, "spacing_column_mm": 0.1875}
    del cells["spacing_mm"]
    assert {name: rows_of(tmp_path / "results.csv")[0].get(name) for name in cells} == {
        name: str(value) for name, value in cells.items()
    }

    with closing(Ledger(tmp_path)) as ledger:
        ledger.put(b"a.dcm", (1, 1), "settings", report, None)
        assert list(ledger.reports()) == [report]

    shown = {**facts, "sex": "female", "spacing_mm": "0.125"}
    text = Parsed(index_page(tmp_path, [report])).text
    assert [name for name, value in shown.items() if str(value) not in text] == []


# -- results.csv ----------------------------------------------------------------------------------------------------


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_one_row_per_hip_and_one_for_a_film_without(reports: dict[str, FilmReport], tmp_path: Path) -> None:
    write_csv(tmp_path / "results.csv", reports.values())
    rows = rows_of(tmp_path / "results.csv")
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [(row["file"], row["side"], row["status"], row["reason"]) for row in rows] == [
        ("right.dcm", "R", "read", ""),
        ("pelvis.dcm", "R", "read", ""),
        ("pelvis.dcm", "L", "refused", "implant"),
        ("implant.dcm", "R", "refused", "implant"),
        ("young.dcm", "R", "read", ""),
        ("unknown.dcm", "R", "read", ""),
        ("nothing.dcm", "", "refused", "not_a_hip"),
        ("text.dcm", "", "refused", "not_dicom"),
    ]
    for row in rows:
        estimates = {key: text for key, text in row.items() if re.match("(bmd|low|high)_.*_gcm2", key)}
        assert len(estimates) == 6
        assert all(bool(text) == (row["status"] == "read") for text in estimates.values())
        assert row["use"] == RESEARCH_USE


def test_csv_numbers_stay_numbers_and_formulas_do_not_run(reports: dict[str, FilmReport], tmp_path: Path) -> None:
    (hip,) = reports["right"].hips
    low = replace(hip.estimates[0], t_score=-3.1, low_gcm2=-0.02)
    hostile = [
        replace(reports["right"], file=text + "x", maker=text, hips=(replace(hip, estimates=(low, hip.estimates[1])),))
        for text in ("=", "+", "-", "@", "\t=", "\r=", "＝", HOSTILE)
    ]
    write_csv(tmp_path / "results.csv", hostile)
    for row in rows_of(tmp_path / "results.csv"):
        for column in ("file", "maker"):
            assert row[column][0] not in "=+-@\t\r\n＝"
            assert row[column].isprintable()
        assert float(row["t_score_femoral_neck"]) == -3.1
        assert float(row["low_femoral_neck_gcm2"]) == -0.02
    assert len((tmp_path / "results.csv").read_bytes().splitlines()) == 1 + len(hostile)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a b.dcm", "a b.dcm"), ("Müller 李", "Müller 李"), ("a\nb", "a\\nb"), ("\x1b[0m", "\\x1b[0m"),
     ("\u202e", "\\u202e"), ("\udcff", "\\udcff"), ("\U000e0001", "\\U000e0001")],
)  # fmt: skip
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


# -- the pages ------------------------------------------------------------------------------------------------------


class Parsed(HTMLParser):
    """Collects the tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_a_page_says_what_a_technician_needs(reports: dict[str, FilmReport], tmp_path: Path) -> None:
    text = Parsed(index_page(tmp_path, list(reports.values()))).text
    assert RESEARCH_USE in text
    assert NOTICE in text
    for estimate in reports["right"].hips[0].estimates:
        assert f"{estimate.bmd_gcm2:.3f} {estimate.low_gcm2:.3f} to {estimate.high_gcm2:.3f}" in text
    for code in ("implant", "not_a_hip", "not_dicom"):
        assert REFUSALS[code].sentence in text
        assert REFUSALS[code].remedy in text
    assert FLAGS["assumed_postmenopausal"] in text
    assert T_SCORE_REASONS["under_50"] in text
    assert T_SCORE_REASONS["age_unknown"] in text
    assert any(name in text for name in WHO_RANGES.values())
    assert "normal" not in text.lower()
    assert "partly read" in text


def test_landmarks_and_box_are_drawn_where_they_are(tmp_path: Path) -> None:
    film = read_film(hip_dicom("R"))
    picture = thumbnail(film)
    with drawn_screener() as screener:
        report = screener.read(hip_dicom("R"), file="a.dcm")
    parsed = Parsed(index_page(tmp_path, [report], picture))
    scale = picture.width_px / film.shape[1]
    points = [(float(tag["cx"]), float(tag["cy"])) for name, tag in parsed.tags if name == "circle"]
    expected = [(x * scale, y * scale) for x, y in report.hips[0].landmarks_px.values()]
    assert np.allclose(points, expected, atol=0.6)
    (rect,) = [tag for name, tag in parsed.tags if name == "rect"]
    box = report.hips[0].box_px
    assert np.allclose([float(rect[key]) for key in ("x", "y", "width", "height")], np.array(box) * scale, atol=1)


def test_the_small_picture_has_the_films_proportions() -> None:
    film = read_film(hip_dicom("R"))
    picture = thumbnail(film)
    assert max(picture.width_px, picture.height_px) == 420
    assert picture.width_px / picture.height_px == pytest.approx(240 / 270, abs=0.01)
    from io import BytesIO

    image = Image.open(BytesIO(picture.jpeg))
    assert (image.mode, image.size) == ("L", (picture.width_px, picture.height_px))
    head, background = image.getpixel((130, 133)), image.getpixel((350, 380))
    assert head > background + 80  # bone is bright


def test_every_page_stands_alone(reports: dict[str, FilmReport], tmp_path: Path) -> None:
    film = read_film(hip_dicom("R"))
    parsed = Parsed(index_page(tmp_path, list(reports.values()), thumbnail(film)))
    assert not {tag for tag, _ in parsed.tags} & {"script", "link", "iframe", "object", "form", "base"}
    for _, attributes in parsed.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "srcset"):
            target = attributes.get(name) or ""
            assert (
                not target or target.startswith("data:image/jpeg;base64,") or re.fullmatch(r"[a-z0-9-]+\.html", target)
            )
    page = (tmp_path / "index.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert "url(" not in page


def test_hostile_text_is_inert(reports: dict[str, FilmReport], tmp_path: Path) -> None:
    hostile = replace(reports["right"], file=HOSTILE, maker=HOSTILE, model="javascript:x", view='"><b>')
    page = index_page(tmp_path, [hostile])
    parsed = Parsed(page)
    assert not [tag for tag, _ in parsed.tags if tag == "script"]
    assert "{{7*7}}" in parsed.text
    assert '"><b>' in parsed.text
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", page)


def test_many_films_are_spread_over_pages(
    reports: dict[str, FilmReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "FILMS_PER_PAGE", 3)
    many = [replace(reports["right"], file=f"{n:02d}.dcm") for n in range(8)]
    index = index_page(tmp_path, many)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "index.html", "page-0001.html", "page-0002.html", "page-0003.html",
    ]  # fmt: skip
    for number in (1, 2, 3):
        name = f"page-{number:04d}.html"
        assert f'href="{name}"' in index
        page = (tmp_path / name).read_text()
        assert re.findall(r"\d\d\.dcm", page) == [f"{n:02d}.dcm" for n in range(3 * number - 3, min(3 * number, 8))]
        assert RESEARCH_USE in page
        links = re.findall(r'href="([^"]+)"', page)
        assert set(links) <= {path.name for path in tmp_path.iterdir()}
    index_page(tmp_path, many[:2])
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_pages_hold_no_time(reports: dict[str, FilmReport], tmp_path: Path) -> None:
    first = index_page(tmp_path / "a", list(reports.values()))
    assert index_page(tmp_path / "b", list(reports.values())) == first


def test_no_sentence_calls_a_hip_normal() -> None:
    sentences = [text for refusal in REFUSALS.values() for text in (refusal.sentence, refusal.remedy)]
    templates = (Path(pages.__file__).parent / "templates").iterdir()
    texts = [*sentences, *FLAGS.values(), *(path.read_text() for path in templates), json.dumps(json_schema())]
    assert not any("normal" in text.lower() for text in texts)


def test_counts(reports: dict[str, FilmReport]) -> None:
    assert count(reports.values()) == {
        "films": {"read": 4, "refused": 3, "failed": 0},
        "hips": {"read": 4, "refused": 2},
        "film_reasons": {"not_a_hip": 1, "not_dicom": 1},
        "hip_reasons": {"implant": 2},
    }
