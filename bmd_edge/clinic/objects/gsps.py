"""A report drawn on the film by the viewer: a Grayscale Softcopy Presentation State (PS3.3 A.33.1) with one layer.

It holds no pixels: points, side and numbers lie on the film itself, which is shown as it says of itself.
"""

from collections.abc import Iterable, Mapping
from textwrap import wrap

from pydicom.dataset import Dataset

from bmd_edge.clinic.objects.panel import BAR, cautions, footer, of_film, of_hip
from bmd_edge.clinic.objects.said import Occasion
from bmd_edge.clinic.objects.series import DESCRIPTION, begun, dated, film_reference, laterality
from bmd_edge.clinic.objects.study import Study
from bmd_edge.report.film_report import FilmReport, HipReport

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.11.1"
LAYER = "BMD"
_TOP = (0.01, 0.01), (0.99, 0.16)
_HALVES = ((0.01, 0.56), (0.49, 0.82)), ((0.51, 0.56), (0.99, 0.82))
_BOTTOM = (0.01, 0.83), (0.99, 0.99)
"""Boxes of text: corners as shares of the width and the height of the film as it is shown."""
_LETTERS = 88
"""In a line as wide as the film: viewers break none, and cut what lies beyond the film."""
_MOST_TEXT, _CUT = 1024, " ..."  # PS3.5 6.2, ST
_TOP_OF_A_PIXEL = [1, 1]  # PS3.3 C.10.4: the first pixel of the displayed area is this one


def presentation_state(report: FilmReport, study: Study, occasion: Occasion, names: Mapping[str, str]) -> Dataset:
    """Make the presentation state of a film; `names` holds its "instance" and "series" UIDs."""
    made = begun("gsps", SOP_CLASS, study, occasion, names)
    made.Modality, made.Laterality = "PR", laterality(report)
    dated(made, occasion.received)
    made.PresentationCreationDate, made.PresentationCreationTime = made.ContentDate, made.ContentTime
    del made.ContentDate, made.ContentTime
    made.ContentLabel, made.ContentDescription, made.ContentCreatorName = LAYER, DESCRIPTION, ""
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedImageSequence = study.series_instance_uid, [film_reference(study)]
    made.ReferencedSeriesSequence = [series]
    made.update(study.display)
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner = (
        _TOP_OF_A_PIXEL,
        [study.columns, study.rows],
    )
    # Not the pixel's size: a viewer would measure with it, and the film's own need not be that of the hip.
    area.PresentationSizeMode, area.PresentationPixelAspectRatio = "SCALE TO FIT", list(study.aspect)
    made.DisplayedAreaSelectionSequence = [area]
    layer = Dataset()
    layer.GraphicLayer, layer.GraphicLayerOrder, layer.GraphicLayerRecommendedDisplayGrayscaleValue = LAYER, 1, 0xFFFF
    layer.GraphicLayerDescription = DESCRIPTION
    made.GraphicLayerSequence = [layer]
    made.GraphicAnnotationSequence = [_annotation(report, study, occasion)]
    return made


def _annotation(report: FilmReport, study: Study, occasion: Occasion) -> Dataset:
    made = Dataset()
    made.GraphicLayer = LAYER
    n = len(cautions(report))
    more = [f"{n} {'caution' if n == 1 else 'cautions'}: see the report."] if n else []
    made.TextObjectSequence = [
        _text([BAR, *(line.text for line in of_film(report)), *more], _TOP),
        *_hips(report, study),
        _text((line.text for line in footer(report, occasion)), _BOTTOM),
    ]
    if points := [one for hip in report.hips for one in _points(hip, study)]:
        made.GraphicObjectSequence = points
    return made


def _hips(report: FilmReport, study: Study) -> list[Dataset]:
    """Each hip's words in its half of the film, tied to the hip by a line."""
    ordered = sorted(report.hips, key=lambda hip: hip.box_px[0] if hip.box_px else 0.0)
    halves = _HALVES
    if len(ordered) == 1 and ordered[0].box_px:
        left, _, width, _ = ordered[0].box_px
        halves = _HALVES[::-1] if left + width / 2 > study.columns / 2 else _HALVES
    made = []
    for hip, half in zip(ordered, halves, strict=False):
        text = _text((line.text for line in of_hip(hip)), half)
        if points := _points(hip, study):
            text.AnchorPoint, text.AnchorPointVisibility = points[0].GraphicData, "Y"
            text.AnchorPointAnnotationUnits = "PIXEL"
        made.append(text)
    return made


def _text(lines: Iterable[str], box: tuple[tuple[float, float], tuple[float, float]]) -> Dataset:
    made = Dataset()
    made.BoundingBoxAnnotationUnits = "DISPLAY"
    made.BoundingBoxTopLeftHandCorner, made.BoundingBoxBottomRightHandCorner = map(list, box)
    made.BoundingBoxTextHorizontalJustification = "LEFT"
    made.UnformattedTextValue = _broken(list(lines), round(_LETTERS * (box[1][0] - box[0][0])))
    return made


def _broken(lines: list[str], letters: int) -> str:
    """Lines of at most so many letters; where all is too much, the longest, a bundle's words of itself, is cut."""
    while (over := len(text := "\r\n".join(row for line in lines for row in wrap(line, letters))) - _MOST_TEXT) > 0:
        n = max(range(len(lines)), key=lambda k: len(lines[k]))
        lines[n] = f"{lines[n][: -over - len(_CUT)]}{_CUT}"
    return text


def _points(hip: HipReport, study: Study) -> list[Dataset]:
    """The landmarks that lie on the film; (0, 0) is its corner here as in a report (PS3.3 C.10.5.1.2)."""
    made = []
    for x, y in hip.landmarks_px.values():
        if 0 <= x <= study.columns and 0 <= y <= study.rows:
            point = Dataset()
            point.GraphicAnnotationUnits, point.GraphicDimensions, point.NumberOfGraphicPoints = "PIXEL", 2, 1
            point.GraphicData, point.GraphicType = [float(x), float(y)], "POINT"
            made.append(point)
    return made
