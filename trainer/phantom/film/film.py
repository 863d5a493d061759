"""One film of the phantom, from seed to stored pixels: the whole chain, a pure function of (FilmSpec, VERSION).

Every part draws from its own stream, so film noise and label noise never share draws, and a film keeps its noise when
its processing style changes.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from trainer.phantom.beam.beam import (
    METAL_GCM3,
    Array,
    Coarse,
    Exposure,
    Masses,
    coarse_exposure,
    displaced,
    expose,
    transmission,
)
from trainer.phantom.beam.clutter import Canvas, add_clutter
from trainer.phantom.beam.soft_parts import Leg
from trainer.phantom.beam.texture import TextureLook, textured
from trainer.phantom.beam.tissue import COARSE_MM, Tissue, draw_limb, draw_tissue
from trainer.phantom.body.bodies import femur_transform, landmarks
from trainer.phantom.film.dxa_label import dxa_label, true_bmd
from trainer.phantom.film.header_facts import DrawnHeader, draw_header
from trainer.phantom.film.maker_styles import Style, process, random_style, recognize, style_of
from trainer.phantom.film.markers import apply_decor, draw_decor
from trainer.phantom.film.scene import (
    CHILD_SIZE,
    FilmSpec,
    Points,
    Scene,
    check_spec,
    scene_of,
    stream,
    subject_of,
)
from trainer.phantom.film.stored_pixels import Stored, store
from trainer.phantom.shapes.coarse_grid import block_mean, upsample
from trainer.phantom.shapes.ray_march import Geometry, Projection, project

COARSE_PIXEL_MM = 2.4
KEEP_MARGIN_MM = 9.0
TISSUE_REACH_MM = 30.0
_LIBRARIES = ThreadpoolController()


@dataclass(frozen=True, slots=True)
class PhantomHip:
    """One hip on the film: kind (the finder's class), landmarks (x, y) in film pixels, BMD in g/cm2 (None where
    meaningless).
    """

    side: str
    kind: str
    landmarks_px: Points
    cut_off: bool
    shaft_flagged: bool
    true_bmd_gcm2: dict[str, float] | None
    label_bmd_gcm2: dict[str, float] | None


@dataclass(frozen=True, slots=True)
class PhantomFilm:
    """A film: stored pixels and how to show them, header facts, geometry and the hips on it.

    `spacing_mm` is one pixel at the hip; `person` (age in years, sex, BMI); `scene` names what is shown ("hip", or
    one of `other_bones.SCENES`).
    """

    spec: FilmSpec
    stored: Stored
    header: DrawnHeader
    spacing_mm: float
    style: Style
    hips: tuple[PhantomHip, ...]
    person: tuple[float, str, float]
    scene: str

    @property
    def pixels(self) -> NDArray[np.uint16]:
        """Stored values, uint16 (rows, cols)."""
        return self.stored.pixels

    def bone_bright(self) -> Array:
        """Displayed values, float32 0..1, larger = more attenuation: window or LUT applied, MONOCHROME1 undone."""
        return self.stored.bone_bright()


def film(spec: FilmSpec) -> PhantomFilm:
    """Make one film. Raises ValueError for an unknown kind, case, pose or region and KeyError for an unknown style.

    Matrix products get one thread: their sums would hang on the number of threads, and on a busy machine the threads
    of several workers would wait for each other, at five times the CPU seconds.
    """
    with _LIBRARIES.limit(limits=1):
        return _film(spec)


def _film(spec: FilmSpec) -> PhantomFilm:
    check_spec(spec)
    style = random_style(stream(spec.seed, "style")) if spec.style == "random" else style_of(spec.style)
    scene = scene_of(spec)
    exposure = exposure_of(spec)
    body = _Body(spec, scene)
    masses = _masses(spec, scene, body)
    primary = transmission(masses, exposure.kvp, exposure.marrow_fat)
    coarse = _coarse(spec, scene, body, primary, masses, exposure)
    pixel_mm, offset = scene.view.pixel_mm, _offset_mm(scene)
    signal = expose(primary, coarse, exposure, pixel_mm, offset, stream(spec.seed, "noise"))
    shown = process(signal, recognize(coarse.signal, coarse.body, style, coarse.pixel_mm), style, pixel_mm)
    hips = _hips(spec, scene)
    shown = _decorated(spec, scene, shown, hips, offset)
    header = draw_header(stream(spec.seed, "header"), scene.subject, exposure, scene.view, style, _facts(spec, scene))
    header = replace(header, pixel_mm=header.pixel_mm * spec.spacing_factor)
    stored = store(shown, stream(spec.seed, "store"))
    person = (scene.subject.age_years, scene.subject.sex, scene.subject.bmi)
    return PhantomFilm(spec, stored, header, scene.view.spacing_mm, style, hips, person, scene.name)


def exposure_of(spec: FilmSpec) -> Exposure:
    """How a film is exposed; known without making it."""
    subject = subject_of(spec)
    drawn = Exposure.draw(stream(spec.seed, "exposure"), subject.bmi, subject.age_years)
    return replace(drawn, kvp=drawn.kvp + spec.kvp_shift)


def _offset_mm(scene: Scene) -> tuple[float, float]:
    frame, view = scene.frame, scene.view
    return (view.origin_mm[0] - frame.origin_mm[0], frame.origin_mm[1] - view.origin_mm[1])


def _facts(spec: FilmSpec, scene: Scene) -> dict[str, str]:
    side = "B" if spec.kind == "pelvis" else spec.side
    body = "HIP" if spec.kind == "hip" else "PELVIS"
    if spec.case == "not_a_hip":
        body = {"knee": "KNEE", "hand": "HAND", "spine": "LSPINE", "chest": "CHEST", "shoulder": "SHOULDER"}.get(
            scene.name, "HIP"
        )
    view = {"frog_leg": "LL", "lateral": "LL"}.get(scene.pose.kind, "AP")
    subject = spec.seed if spec.subject_seed is None else spec.subject_seed
    return {"side": side, "body_part": body, "view": view, "seed": str(spec.seed), "subject": str(subject)}


class _Body:
    """The patient's soft tissue on its own coarse grid, and how to bring it to any window of the film."""

    def __init__(self, spec: FilmSpec, scene: Scene) -> None:
        frame = scene.frame
        size = CHILD_SIZE if spec.case == "immature" else 1.0
        legs_px, self.middle = _legs(scene)
        self.unit = size / frame.spacing_mm  # film pixels per body mm
        reach = TISSUE_REACH_MM
        low = (-np.array(self.middle)) / self.unit - reach
        high = (np.array(frame.shape[::-1]) - self.middle) / self.unit + reach
        self.low = np.array(low)
        x, y = (np.arange(a + COARSE_MM / 2, b, COARSE_MM, dtype=np.float32) for a, b in zip(low, high, strict=True))
        legs = tuple(
            Leg(((c[0] - self.middle[0]) / self.unit, (c[1] - self.middle[1]) / self.unit), d) for c, d in legs_px
        )
        rng = stream(spec.seed, "tissue")
        self.maps: Tissue = draw_tissue(rng, scene.subject.bmi, legs, x, y, size) if legs else draw_limb(rng, x, y)
        self.frame = frame

    def on(self, coarse: Array, view: Geometry) -> Array:
        """A coarse map of the tissue on the pixels of `view`."""
        ratio = view.pixel_mm / self.frame.pixel_mm
        left = (view.origin_mm[0] - self.frame.origin_mm[0]) / self.frame.pixel_mm
        top = (self.frame.origin_mm[1] - view.origin_mm[1]) / self.frame.pixel_mm
        corner = np.array(self.middle) + self.low * self.unit  # of the tissue grid, film pixels
        return upsample(
            coarse, view.shape, COARSE_MM * self.unit / ratio, ((top - corner[1]) / ratio, (left - corner[0]) / ratio)
        )


def _legs(scene: Scene) -> tuple[list[tuple[tuple[float, float], tuple[float, float]]], tuple[float, float]]:
    """Head center and shaft direction of both hips in film pixels, and the middle between the heads."""
    if not scene.sides:
        return [], (scene.frame.shape[1] / 2, scene.frame.shape[0] / 2)
    legs = []
    for side in ("R", "L"):
        femur, (turn, at) = scene.subject.femora[side], femur_transform(scene.subject, side, scene.pose)
        axis = np.array([femur.shaft_axis_mm(-femur.lesser_drop_mm - below) for below in (0.0, 55.0)])
        head, top, end = scene.frame.project(np.vstack([np.zeros(3), axis]) @ turn.T + at)
        along = (end - top) / max(float(np.linalg.norm(end - top)), 1e-6)
        legs.append(((float(head[0]), float(head[1])), (float(along[0]), float(along[1]))))
    middle = np.mean([center for center, _ in legs], axis=0)
    return legs, (float(middle[0]), float(middle[1]))


def _masses(spec: FilmSpec, scene: Scene, body: _Body) -> Masses:
    """Mass maps of the view: bone with its texture, the tissue it leaves, metal, and what else lies in the beam."""
    view = scene.view
    bones = project(scene.bodies, view)
    trabecular = _trabecular(spec, scene, bones)
    tissue, marrow = displaced(bones.cortical_gcm2, trabecular, bones.bone_mm, body.on(body.maps.thickness_cm, view))
    mineral, metal = bones.cortical_gcm2 + trabecular, bones.metal_mm * np.float32(METAL_GCM3 / 10.0)
    left, top = (v / view.pixel_mm for v in _offset_mm(scene))
    busy = spec.pose == "wide" or spec.kind == "pelvis" or spec.case != "intact"
    canvas = Canvas(mineral, metal, tissue, body.unit, (body.middle[0] - left, body.middle[1] - top))
    add_clutter(canvas, stream(spec.seed, "clutter"), 1.0 if busy else 0.35)
    return Masses(mineral, metal, tissue, body.on(body.maps.fat_share, view), marrow)


def _trabecular(spec: FilmSpec, scene: Scene, bones: Projection) -> Array:
    rng, view = stream(spec.seed if spec.subject_seed is None else spec.subject_seed, "texture"), scene.view
    look = TextureLook.draw(rng, scene.subject.latent_b)
    total = textured(bones.pelvis_trabecular_gcm2, look, None, view.spacing_mm, rng)
    for side, part in sorted(bones.femur_trabecular_gcm2.items()):
        lines = landmarks(scene.subject, side, scene.pose, view).texture_px
        total = total + textured(part, look, lines, view.spacing_mm, rng)
    return total


def _coarse(spec: FilmSpec, scene: Scene, body: _Body, primary: Array, masses: Masses, exposure: Exposure) -> Coarse:
    """The whole film seen coarsely: block means of the film itself, or a coarse march of its frame for a region."""
    frame = scene.frame
    step = max(round(COARSE_PIXEL_MM / frame.pixel_mm), 1)
    if spec.region == "film":
        return coarse_exposure(
            block_mean(primary, step), block_mean(masses.tissue_cm, step), frame.pixel_mm * step, exposure
        )
    rows, cols = (-(-n // step) for n in frame.shape)
    whole = frame.region(0, 0, cols * step, rows * step, (rows, cols))
    bones = project(scene.bodies, whole)
    outline = body.on(body.maps.thickness_cm, whole)
    tissue, marrow = displaced(bones.cortical_gcm2, bones.trabecular_gcm2, bones.bone_mm, outline)
    mineral = bones.cortical_gcm2 + bones.trabecular_gcm2
    maps = Masses(
        mineral, bones.metal_mm * np.float32(METAL_GCM3 / 10.0), tissue, body.on(body.maps.fat_share, whole), marrow
    )
    return coarse_exposure(transmission(maps, exposure.kvp, exposure.marrow_fat), tissue, whole.pixel_mm, exposure)


def _decorated(
    spec: FilmSpec, scene: Scene, shown: Array, hips: tuple[PhantomHip, ...], offset: tuple[float, float]
) -> Array:
    frame = scene.frame
    size = (frame.shape[0] * frame.pixel_mm, frame.shape[1] * frame.pixel_mm)
    keep = _keep_mm(spec, hips, frame.pixel_mm, offset)
    side = spec.side if spec.kind == "hip" else str(stream(spec.seed, "marker side").choice(["R", "L"]))
    rng = stream(spec.seed, "decor")
    decor = draw_decor(rng, size, side, "left" if side == "R" else "right", keep, spec.region == "film")
    shown = apply_decor(shown, decor, frame.pixel_mm, offset)
    left, top = (round(v / frame.pixel_mm) for v in offset)
    inside = np.zeros(shown.shape, bool)
    inside[max(-top, 0) : max(frame.shape[0] - top, 0), max(-left, 0) : max(frame.shape[1] - left, 0)] = True
    return np.where(inside, shown, np.float32(0.0))


def _keep_mm(
    spec: FilmSpec, hips: tuple[PhantomHip, ...], pixel_mm: float, offset: tuple[float, float]
) -> tuple[float, float, float, float] | None:
    """The box (detector mm on the whole film) of the landmarks that collimation must leave open."""
    wanted = [h for h in hips if (spec.kind == "pelvis" or h.side == spec.side) and not h.cut_off]
    if not wanted:
        return None
    points = np.array([p for h in wanted for p in h.landmarks_px.values()]) * pixel_mm + np.array(offset)
    (left, top), (right, bottom) = points.min(axis=0) - KEEP_MARGIN_MM, points.max(axis=0) + KEEP_MARGIN_MM
    return float(left) - 20.0, float(top) - 20.0, float(right) + 20.0, float(bottom)


def _hips(spec: FilmSpec, scene: Scene) -> tuple[PhantomHip, ...]:
    """Every hip whose head center is on the film, the side of the specification first."""
    left, top = (v / scene.view.pixel_mm for v in _offset_mm(scene))
    hips = []
    for side in sorted(scene.sides, key=lambda s: s != spec.side):
        marks = landmarks(scene.subject, side, scene.pose, scene.frame)
        x, y = marks.points_px["head_center"]
        if side != spec.side and not (0 <= x <= scene.frame.shape[1] and 0 <= y <= scene.frame.shape[0]):
            continue
        points = {name: (px - left, py - top) for name, (px, py) in marks.points_px.items()}
        kind = _kind(spec, scene, side)
        true, label = _bmd(spec, scene, side) if kind == "intact" else (None, None)
        hips.append(PhantomHip(side, kind, points, marks.cut_off, marks.shaft_flagged, true, label))
    return tuple(hips)


def _kind(spec: FilmSpec, scene: Scene, side: str) -> str:
    if spec.case in ("implant", "fracture"):
        return spec.case if side in scene.subject.implants or side in scene.subject.fractures else "intact"
    return "intact" if spec.case == "cut_off" else spec.case


def _bmd(spec: FilmSpec, scene: Scene, side: str) -> tuple[dict[str, float], dict[str, float]]:
    """True BMD and its noisy label; the label belongs to the hip, not to the film, and has a stream of its own."""
    true = true_bmd(scene.subject.femora[side])
    subject = spec.seed if spec.subject_seed is None else spec.subject_seed
    return true, dxa_label(true, stream(subject, f"label {side}"))
