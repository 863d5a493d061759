"""The picture: what must be on it is on it, in letters that can be read."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageDraw, ImageFont

from bmd_edge.clinic.objects import picture
from bmd_edge.clinic.objects.panel import BAR, NOT_DRAWN, cautions, footer, results
from bmd_edge.clinic.objects.picture import FILM_PX, HEIGHT_PX, WIDTH_PX, FilmPicture, result_picture
from bmd_edge.clinic.remedies import remedy
from bmd_edge.errors import FLAGS, REFUSALS
from bmd_edge.report.film_report import RESEARCH_USE, FilmReport
from tests.bmd_edge.clinic.objects.said import OCCASION, said_of
from tests.support.screening import hip_dicom

GRAY = FilmPicture(np.full((1016, 903), 90, np.uint8), 540, 480)


class Drawn(list[tuple[tuple[float, float, float, float], str, float]]):
    """Every text that is drawn: where, what, in which size."""


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    found, draw = Drawn(), ImageDraw.ImageDraw.text

    def text(self: ImageDraw.ImageDraw, xy: tuple[float, float], words: str, **how: object) -> None:
        font = how["font"]
        assert isinstance(font, ImageFont.FreeTypeFont)
        found.append((self.textbbox(xy, words, font=font, anchor=how.get("anchor")), words, font.size))
        draw(self, xy, words, **how)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    return found


def said(drawn: Drawn) -> str:
    return " ".join(words for _, words, _ in drawn)


def test_everything_stands_on_it_in_letters_that_can_be_read(drawn: Drawn) -> None:
    report, _ = said_of(hip_dicom("RL"))
    drawn.clear()
    made = result_picture(report, OCCASION, GRAY)
    assert made.shape == (HEIGHT_PX, WIDTH_PX, 3)
    for line in (*results(report), *cautions(report), *footer(report, OCCASION)):
        assert line.text in said(drawn)
    assert BAR in said(drawn)
    assert all(size >= 0.02 * HEIGHT_PX for _, _, size in drawn)
    sides = {words: box[3] - box[1] for box, words, _ in drawn if words in ("R", "L")}
    assert set(sides) == {"R", "L"}
    assert all(height >= 0.05 * HEIGHT_PX - 2 for height in sides.values())


def full(report: FilmReport) -> FilmReport:
    """The same report with the longest refusal for one hip and every flag beside the other."""
    longest = max(REFUSALS, key=lambda code: len(REFUSALS[code].sentence + REFUSALS[code].remedy))
    right, left = report.hips
    flagged = tuple(replace(one, flags=tuple(FLAGS)) for one in right.estimates)
    refused = replace(left, status="refused", reason=longest, estimates=())
    return replace(report, hips=(replace(right, estimates=flagged), refused), recalibration="ab" * 32)


def test_a_full_panel_leaves_out_cautions_and_says_how_many(drawn: Drawn) -> None:
    report = full(said_of(hip_dicom("RL"))[0])
    drawn.clear()
    result_picture(report, OCCASION, GRAY)
    for line in (*results(report), *footer(report, OCCASION)):
        assert line.text in said(drawn)
    shown = sum(line.text in said(drawn) for line in cautions(report))
    assert 0 < shown < len(FLAGS)
    assert f"{len(FLAGS) - shown} more cautions: see the report." in said(drawn)


@pytest.mark.parametrize("fill", [False, True])
def test_no_text_lies_on_another_or_beyond_the_edge(fill: bool, drawn: Drawn) -> None:
    report, _ = said_of(hip_dicom("RL"))
    drawn.clear()
    result_picture(full(report) if fill else report, OCCASION, GRAY)
    panel = [box for box, words, _ in drawn if len(words) > 1]
    assert all(box[0] >= 0 and box[1] >= 0 and box[2] <= WIDTH_PX and box[3] <= HEIGHT_PX for box in panel)
    for number, one in enumerate(panel):
        for other in panel[number + 1 :]:
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert apart, (one, other)


def test_landmarks_and_region_are_drawn_where_they_are() -> None:
    report, _ = said_of(hip_dicom("R"))
    made = result_picture(report, OCCASION, GRAY)
    left, top = (FILM_PX[0] - 903) // 2, HEIGHT_PX - FILM_PX[1]
    scale = 903 / 480
    marks = np.all(made == (0xFF, 0xE0, 0x4A), axis=2)
    (hip,) = report.hips
    for x, y in hip.landmarks_px.values():
        assert marks[round(top + y * scale), round(left + x * scale)]
    assert hip.box_px is not None
    box_left, box_top, width, height = hip.box_px
    bottom, right = round(top + (box_top + height) * scale), round(left + (box_left + width) * scale)
    assert marks[bottom - 60 : bottom, right - 2 : right + 3].any(axis=1).mean() > 0.9


def test_a_film_that_was_not_decoded_has_its_words_all_the_same(drawn: Drawn) -> None:
    report, _ = said_of(hip_dicom("R", ImagerPixelSpacing=None))
    drawn.clear()
    made = result_picture(report, OCCASION, None)
    assert "No picture: the film was not decoded." in said(drawn)
    assert REFUSALS["no_spacing"].sentence in said(drawn)
    assert tuple(made[5, 5]) == (0xB0, 0x00, 0x20)


def test_every_letter_of_the_words_is_in_the_font() -> None:
    words = {letter for code in REFUSALS for letter in REFUSALS[code].sentence + remedy(code)}
    words |= {letter for flag in (*FLAGS.values(), BAR, NOT_DRAWN, RESEARCH_USE) for letter in flag}
    assert [letter for letter in words - {" "} if not picture._has(letter)] == []


@pytest.mark.parametrize("notice", ["研究用途に限ります。", "Nur für Forschung.", "Только для исследований."])
def test_a_notice_that_the_font_cannot_write_is_no_row_of_boxes(notice: str, drawn: Drawn) -> None:
    report, _ = said_of(hip_dicom("R"))
    drawn.clear()
    result_picture(report, replace(OCCASION, box=replace(OCCASION.box, notice=notice)), GRAY)
    assert NOT_DRAWN in said(drawn)
    assert RESEARCH_USE in said(drawn)
    assert notice not in said(drawn)
    assert all(picture._has(letter) for letter in set(said(drawn)) - {" "})
