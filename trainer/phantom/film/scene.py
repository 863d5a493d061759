"""Where things stand: the specification of a film, its random streams, and the patient, pose and film frame drawn
from them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from trainer.phantom.body.anatomy import ADOLESCENT_YEARS, FRACTURES, IMPLANTS, Subject
from trainer.phantom.body.bodies import bodies_of, fracture_end_mm, hip_center_mm, landmarks
from trainer.phantom.body.other_bones import draw_scene
from trainer.phantom.body.pose import Pose
from trainer.phantom.body.priors import POPULATIONS
from trainer.phantom.shapes.ray_march import Body, Geometry

VERSION = 2
CASES = ("intact", "implant", "fracture", "wrong_view", "immature", "not_a_hip", "cut_off")
ROI_SIDE_MM = 166.4
ROI_MARGIN_MM = 8.0
CHILD_SIZE = 0.55
BROKEN_MM = 15.0
"""How much of the film at least lies below the end of a broken femur's lower part."""

Points = dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class FilmSpec:
    """What to make. What stands before the tube hangs on `view_seed` (pose and frame) and `subject_seed` (the person);
    `seed` drives what is particular to one film: exposure, soft tissue, clutter, noise, processing, markers, header.
    The view's seed is the film's unless given, and the subject's is the view's.

    kind "hip" (one hip, `side`) or "pelvis"; case as in CASES; pose "bmd", "turned" or "wide"; style a maker's letter
    A-H, a site's (S1, S2 ...), "random", or "wide": all that is particular to the film is drawn far beyond what clinics
    do; region "film" or "roi" (the square around the hip `side` only); pixel_mm of the film at the detector, each the
    mean of rays x rays rays; population as in POPULATIONS.
    kvp_shift is added to the tube voltage, and the header states spacing_factor times the true detector spacing.
    loss is the share of the bones' mineral that the person has lost (`Subject.with_loss`), 0 to 1.
    """

    seed: int
    kind: str = "hip"
    side: str = "R"
    case: str = "intact"
    pose: str = "bmd"
    style: str = "random"
    region: str = "film"
    pixel_mm: float = 0.3
    subject_seed: int | None = None
    kvp_shift: float = 0.0
    spacing_factor: float = 1.0
    view_seed: int | None = None
    population: str = "screening"
    rays: int = 1
    loss: float = field(default=0.0, repr=False)  # UIDs are made of the repr, and those of a film stay

    @property
    def view(self) -> int:
        """The seed of pose and frame."""
        return self.seed if self.view_seed is None else self.view_seed

    @property
    def subject(self) -> int:
        """The seed of the person."""
        return self.view if self.subject_seed is None else self.subject_seed

    @property
    def wide(self) -> bool:
        """Whether exposure, soft tissue, clutter, processing and markers are drawn widely."""
        return self.style == "wide"

    def bare(self) -> "FilmSpec":
        """The view without what is particular to one film: equal for all films of a view."""
        return replace(
            self, seed=self.view, subject_seed=self.subject, style="random", kvp_shift=0.0, spacing_factor=1.0
        )


def stream(seed: int, name: str) -> np.random.Generator:
    """The random stream of one part of one film."""
    return np.random.default_rng(np.random.SeedSequence([VERSION, seed, crc32(name.encode())]))


@dataclass(frozen=True, slots=True)
class Scene:
    """What stands before the tube: bodies, subject and pose (None for scenes), sides on the film, and the film's
    frame.
    """

    bodies: Sequence[Body]
    subject: Subject
    pose: Pose
    sides: tuple[str, ...]
    frame: Geometry
    view: Geometry
    name: str


@lru_cache(maxsize=2)
def _subject(seed: int, case: str, side: str, case_seed: int, population: str, loss: float) -> Subject:
    if case == "immature":
        return Subject.draw_immature(seed, population)
    subject, rng = Subject.draw(seed, population).with_loss(loss), stream(case_seed, "case")
    if case == "implant":
        return subject.with_implant(side, str(rng.choice(IMPLANTS)), rng)
    if case == "fracture":
        return subject.with_fracture(side, str(rng.choice(FRACTURES)), rng)
    return subject


def size_of(subject: Subject) -> float:
    """How large the frame and the soft tissue of a person are, of an adult's."""
    return CHILD_SIZE if subject.age_years < ADOLESCENT_YEARS else 1.0


def subject_of(spec: FilmSpec) -> Subject:
    """The patient of a film."""
    return _subject(spec.subject, spec.case, spec.side, spec.view, spec.population, spec.loss)


def check_spec(spec: FilmSpec) -> None:
    """Raise ValueError for a word that a specification does not know."""
    for value, known in (
        (spec.kind, ("hip", "pelvis")),
        (spec.side, ("R", "L")),
        (spec.case, CASES),
        (spec.pose, ("bmd", "turned", "wide")),
        (spec.region, ("film", "roi")),
        (spec.population, POPULATIONS),
    ):
        if value not in known:
            raise ValueError(f"unknown {value!r}: one of {', '.join(known)}")


def scene_of(spec: FilmSpec) -> Scene:
    """Everything that stands before the tube, and the film's frame; deterministic, the same for all films of a view."""
    subject, rng = subject_of(spec), stream(spec.view, "frame")
    if spec.case == "not_a_hip":
        bodies, size, name = draw_scene(stream(spec.view, "scene"))
        frame = _exposed(rng, (0.0, 0.0), size, spec.pixel_mm, (rng.normal(0, 30), rng.normal(0, 30)))
        return Scene(bodies, subject, Pose(), (), frame, frame, name)
    pose = _pose(spec)
    frame, sides = _frame(spec, rng, subject, pose)
    view = _roi_view(frame, subject, spec.side, pose) if spec.region == "roi" else frame
    bodies = bodies_of(subject, pose, sides, True, spec.region == "film")
    return Scene(bodies, subject, pose, sides, frame, view, "hip")


def _pose(spec: FilmSpec) -> Pose:
    rng = stream(spec.view, "pose")
    if spec.case == "wrong_view":
        return Pose.draw_wrong_view(rng)
    if spec.pose == "wide":
        return Pose.draw_wide(rng)
    return Pose.draw_learning(rng) if spec.pose == "turned" else Pose.draw_bmd(rng)


def _exposed(
    rng: np.random.Generator,
    center_mm: tuple[float, float],
    size_mm: tuple[float, float],
    pixel_mm: float,
    aim_mm: tuple[float, float],
) -> Geometry:
    """A film of `size_mm` at the hip around a world (x, z), tube aimed `aim_mm` off it: SID 100-120 cm, magnification
    1.10-1.23.
    """
    sid, magnification = rng.uniform(1000.0, 1200.0), rng.uniform(1.10, 1.23)
    source = (center_mm[0] + aim_mm[0], center_mm[1] + aim_mm[1])
    size = (size_mm[0] * magnification, size_mm[1] * magnification)
    return Geometry.centered(center_mm, size, pixel_mm, sid, sid / magnification, source)


def _frame(spec: FilmSpec, rng: np.random.Generator, subject: Subject, pose: Pose) -> tuple[Geometry, tuple[str, ...]]:
    """The film's frame around the hip or the pelvis, and which femora can be on it."""
    scale = size_of(subject)
    centers = {side: hip_center_mm(subject, side, pose) for side in ("R", "L")}
    aim = (float(rng.normal(0, 12)), float(rng.normal(0, 20)))
    wide = spec.pose == "wide" or spec.case != "intact"
    if spec.kind == "pelvis":
        size = (scale * rng.uniform(270, 370), scale * rng.uniform(340, 430))
        mid = 0.5 * (centers["R"] + centers["L"])
        center = (mid[0] + rng.normal(0, 8), mid[2] + rng.uniform(-30, 25) * scale)
        sides: tuple[str, ...] = ("R", "L")
    else:
        size = (scale * rng.uniform(205, 330), scale * rng.uniform(165, 290))
        if wide and rng.random() < 0.25:
            size = (scale * rng.uniform(300, 380), scale * rng.uniform(260, 380))
        hip, out = centers[spec.side], -1.0 if spec.side == "R" else 1.0
        center = (hip[0] + out * rng.uniform(-10, 30) * scale, hip[2] - rng.uniform(5, 50) * scale)
        sides = ("R", "L") if size[1] / 2 > 150 * scale and spec.region == "film" else (spec.side,)
    frame = _exposed(rng, center, size, spec.pixel_mm, aim)
    wanted = sides if spec.kind == "pelvis" else (spec.side,)
    if spec.case == "cut_off":
        return _cut(rng, frame, subject, spec.side, pose), sides
    if spec.case == "wrong_view":
        return frame, sides
    return _enlarged(frame, subject, wanted, pose, rng.uniform(6, 30) * scale), sides


def _corners_px(frame: Geometry, subject: Subject, sides: Sequence[str], pose: Pose) -> NDArray[np.float64]:
    """All landmarks and the top of the heads, pixels (n, 2)."""
    points = []
    for side in sides:
        marks = landmarks(subject, side, pose, frame)
        points += list(marks.points_px.values())
        x, y = marks.points_px["head_center"]
        points += [(x - marks.head_radius_px, y - marks.head_radius_px), (x + marks.head_radius_px, y)]
    return np.array(points)


def _enlarged(frame: Geometry, subject: Subject, sides: Sequence[str], pose: Pose, margin_mm: float) -> Geometry:
    """The frame grown where a landmark would be closer than `margin_mm` to its edge (the shaft may run out at the
    bottom, but not above where it is broken).
    """
    tall = frame.region(0, 0, frame.shape[1], frame.shape[0] * 3, (frame.shape[0] * 3, frame.shape[1]))
    points = _corners_px(tall, subject, sides, pose)
    margin = margin_mm / frame.spacing_mm
    left, top = np.floor(np.minimum(points.min(axis=0) - margin, 0.0))
    right, bottom = points.max(axis=0) + margin
    lesser = max(landmarks(subject, s, pose, tall).points_px["lesser_trochanter"][1] for s in sides)
    floor = min(bottom, lesser + 30.0 / frame.spacing_mm)
    for side in set(sides) & set(subject.fractures):
        broken = fracture_end_mm(subject, side, pose)
        floor = max(floor, tall.project(broken[None])[0, 1] + BROKEN_MM / frame.spacing_mm)
    rows, cols = max(frame.shape[0], int(floor)), max(frame.shape[1], int(right))
    width, height = cols - int(left), rows - int(top)
    return frame.region(int(left), int(top), width, height, (height, width))


def _cut(rng: np.random.Generator, frame: Geometry, subject: Subject, side: str, pose: Pose) -> Geometry:
    """A frame that ends inside the hip: too little shaft, or the head, or the trochanter outside."""
    points = landmarks(subject, side, pose, frame).points_px
    head, lesser = np.array(points["head_center"]), np.array(points["lesser_trochanter"])
    unit = float(np.linalg.norm(head - lesser))
    where = rng.choice(["bottom", "top", "lateral", "medial"], p=(0.45, 0.25, 0.15, 0.15))
    out = -1.0 if side == "R" else 1.0
    dx = dy = 0.0
    if where == "bottom":
        dy = lesser[1] + unit * rng.uniform(-0.75, 0.10) - frame.shape[0]
    elif where == "top":
        dy = head[1] + unit * rng.uniform(0.02, 0.6)
    else:
        lateral = where == "lateral"
        edge = (
            points["greater_trochanter"][0] - out * unit * rng.uniform(0.05, 0.4)
            if lateral
            else head[0] + out * unit * rng.uniform(0.02, 0.4)
        )
        at_right = (out > 0) == lateral
        dx = edge - frame.shape[1] if at_right else edge
    return frame.region(dx, dy, frame.shape[1], frame.shape[0], frame.shape)


def _roi_view(frame: Geometry, subject: Subject, side: str, pose: Pose) -> Geometry:
    """The part of the film that holds the stored region and a margin for the processing."""
    points = landmarks(subject, side, pose, frame).points_px
    center = 0.5 * (np.array(points["head_center"]) + np.array(points["lesser_trochanter"]))
    n = int(np.ceil((ROI_SIDE_MM + 2 * ROI_MARGIN_MM) / frame.spacing_mm))
    left, top = np.round(center - n / 2)
    return frame.region(float(left), float(top), n, n, (n, n))
