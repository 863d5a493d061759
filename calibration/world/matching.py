"""Which hip of a film's answers belongs to which row of the table, and how far its landmarks lie from the true ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bmd_edge.report.film_report import FilmReport, HipReport, flags_of
from bmd_edge.table.film_table import HipRow
from calibration.pairs.answers import FilmAnswers
from calibration.pairs.pairs import Answer, Pair, answer_at, answer_of, paired
from calibration.world.truth import INTACT, UNFIT, Truth

NEAR_MM = 25.0
"""A hip is the true one whose head center is nearest and no farther than about a head's radius."""

SHORTEST_AXIS_MM = 15.0
"""Two points that are closer than this name no direction."""

REMARKS = ("assumed_postmenopausal", "outside_reference_range")
"""Flags that speak of the subject; all others are doubts about the film or the hip."""

HEAD = "head_center"
_AXES = {
    "neck_center": ("head_center", "neck_center"),
    "shaft_proximal": ("shaft_proximal", "shaft_distal"),
    "shaft_distal": ("shaft_proximal", "shaft_distal"),
}
"""Landmarks whose place along an axis is a matter of definition: only their distance from it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredHip:
    """A row of the table, what the bundle says of it, and what is true.

    `doubts` are the flags beside its number but for `REMARKS`; `found` says whether a hip of the answers is this one,
    `wrong_side` that it is called the other side; `errors_mm` holds the landmarks that both know.
    """

    pair: Pair
    answer: Answer
    status: str
    style: str | None
    pose: str | None
    doubts: tuple[str, ...] = ()
    found: bool = False
    wrong_side: bool = False
    errors_mm: dict[str, float] = field(default_factory=dict)

    @property
    def read(self) -> bool:
        """Whether a number stands on it."""
        return bool(self.answer.bmd_gcm2)

    @property
    def intact(self) -> bool:
        """Whether a number should stand on it."""
        return self.status == INTACT

    @property
    def unfit(self) -> bool:
        """Whether no number may stand on it."""
        return self.status in UNFIT


def match(
    rows: Sequence[HipRow], truths: Sequence[Truth], film: FilmAnswers, precision: str, by_head: bool
) -> tuple[list[ScoredHip], int]:
    """The rows of one film with their answers, and how many numbers are left that belong to none of them.

    `by_head` matches by head center, otherwise by side. On a film that shows no hip every number is its row's.
    """
    report = film.reports[precision]
    scale = _mm_per_px(truths, report)
    found = _by_head(truths, report.hips, scale) if by_head else _by_side(rows, report.hips)
    left = [hip for hip in report.hips if hip.estimates and not any(hip is one for one in found)]
    hips = []
    for row, truth, hip in zip(rows, truths, found, strict=True):
        if truth.status == "not_a_hip":
            hip, left = next((one for one in report.hips if one.estimates), None), []
        answer = _answer(row, truth, hip, report, by_head)
        hips.append(
            ScoredHip(
                pair=paired(row, film, {precision: answer}),
                answer=answer,
                status=truth.status,
                style=truth.style,
                pose=row.pose,
                doubts=tuple(flag for flag in flags_of(hip) if flag not in REMARKS) if hip else (),
                found=hip is not None,
                wrong_side=hip is not None and hip.side != row.side and truth.status != "not_a_hip",
                errors_mm=landmark_errors(hip.landmarks_px, truth.landmarks_px, scale) if hip and scale else {},
            )
        )
    return hips, len(left)


def _answer(row: HipRow, truth: Truth, hip: HipReport | None, report: FilmReport, by_head: bool) -> Answer:
    if hip:
        return answer_of(hip)
    if truth.status == "not_a_hip":
        return Answer(report.reason or "hip_not_found")
    if by_head:
        return Answer("hip_not_found" if report.hips else report.reason)
    return answer_at(row.side, report)


Scale = tuple[float, float]
"""mm of one stored pixel, across and down."""


def _mm_per_px(truths: Sequence[Truth], report: FilmReport) -> Scale | None:
    known = [truth.mm_per_px for truth in truths if truth.mm_per_px]
    if known:
        return known[0], known[0]
    return (report.spacing_mm[1], report.spacing_mm[0]) if report.spacing_mm else None


def _by_side(rows: Sequence[HipRow], hips: Sequence[HipReport]) -> list[HipReport | None]:
    return [next((hip for hip in hips if hip.side == row.side), None) for row in rows]


def _by_head(truths: Sequence[Truth], hips: Sequence[HipReport], scale: Scale | None) -> list[HipReport | None]:
    """For each truth its hip: the nearest pair of head centers first, each hip once."""
    found: dict[int, int] = {}
    heads = [
        (math.hypot(*_mm(hip.landmarks_px[HEAD], truth.landmarks_px[HEAD], scale)), k, h)
        for k, truth in enumerate(truths)
        for h, hip in enumerate(hips)
        if scale and HEAD in truth.landmarks_px and HEAD in hip.landmarks_px
    ]
    for distance_mm, k, h in sorted(heads):
        if distance_mm <= NEAR_MM and k not in found and h not in found.values():
            found[k] = h
    return [hips[found[k]] if k in found else None for k in range(len(truths))]


def _mm(point_px: tuple[float, float], origin_px: tuple[float, float], scale: Scale) -> NDArray[np.float64]:
    return (np.array(point_px) - origin_px) * scale


def landmark_errors(
    found_px: dict[str, tuple[float, float]], true_px: dict[str, tuple[float, float]], scale: Scale
) -> dict[str, float]:
    """Distance in mm of each landmark that both name; of those in `_AXES` from their axis, if it is long enough."""
    errors = {}
    for name in found_px.keys() & true_px.keys():
        off = _mm(found_px[name], true_px[name], scale)
        if name in _AXES:
            start, end = _AXES[name]
            if start not in true_px or end not in true_px:
                continue
            axis = _mm(true_px[end], true_px[start], scale)
            length_mm = float(np.hypot(*axis))
            if length_mm < SHORTEST_AXIS_MM:
                continue
            errors[name] = abs(float(off[0] * axis[1] - off[1] * axis[0])) / length_mm
        else:
            errors[name] = float(np.hypot(*off))
    return errors
