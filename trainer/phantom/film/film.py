"""One film of the phantom, from seed to stored pixels: the whole chain, a pure function of (FilmSpec, VERSION).

Every part draws from its own stream, so film noise and label noise never share draws, and a film keeps its noise when
its processing style changes.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from trainer.phantom.beam.beam import Array, Coarse, Exposure, Masses, coarse_exposure, expose, transmission
from trainer.phantom.film.around import around_of, exposure_of, masses_of
from trainer.phantom.film.header_facts import DrawnHeader, draw_header
from trainer.phantom.film.maker_styles import Style, process, random_style, recognize, style_of
from trainer.phantom.film.markers import apply_decor, draw_decor
from trainer.phantom.film.scene import FilmSpec, Scene, check_spec, stream
from trainer.phantom.film.stored_pixels import Stored, store
from trainer.phantom.film.view import COARSE_PIXEL_MM, PhantomHip, View, view_of
from trainer.phantom.shapes.coarse_grid import block_mean

KEEP_MARGIN_MM = 9.0
_LIBRARIES = ThreadpoolController()


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
    style = _style(spec)
    view, exposure = view_of(spec), exposure_of(spec)
    scene, around = view.scene, around_of(spec, view)
    masses = masses_of(spec, view, around.body)
    primary = transmission(masses, exposure)
    coarse = around.whole or _whole(primary, masses, scene.frame.pixel_mm, exposure)
    pixel_mm, offset = scene.view.pixel_mm, view.offset_mm
    noise = stream(spec.seed, "noise" if spec.kind == "hip" else f"noise {spec.side}")
    signal = expose(primary, coarse, exposure, pixel_mm, offset, noise)
    shown = process(signal, recognize(coarse.signal, coarse.body, style, coarse.pixel_mm), style, pixel_mm)
    shown = _decorated(spec, view, shown)
    header = draw_header(stream(spec.seed, "header"), scene.subject, exposure, scene.view, style, _facts(spec, scene))
    header = replace(header, pixel_mm=header.pixel_mm * spec.spacing_factor)
    stored = store(shown, stream(spec.seed, "store"))
    person = (scene.subject.age_years, scene.subject.sex, scene.subject.bmi)
    return PhantomFilm(spec, stored, header, scene.view.spacing_mm, style, view.hips, person, scene.name)


def _style(spec: FilmSpec) -> Style:
    if spec.style in ("random", "wide"):
        return random_style(stream(spec.seed, "style"), spec.wide)
    return style_of(spec.style)


def _whole(primary: Array, masses: Masses, pixel_mm: float, exposure: Exposure) -> Coarse:
    """The film seen coarsely: block means of itself."""
    step = max(round(COARSE_PIXEL_MM / pixel_mm), 1)
    return coarse_exposure(block_mean(primary, step), block_mean(masses.tissue_cm, step), pixel_mm * step, exposure)


def _facts(spec: FilmSpec, scene: Scene) -> dict[str, str]:
    side = "B" if spec.kind == "pelvis" else spec.side
    body = "HIP" if spec.kind == "hip" else "PELVIS"
    if spec.case == "not_a_hip":
        body = {"knee": "KNEE", "hand": "HAND", "spine": "LSPINE", "chest": "CHEST", "shoulder": "SHOULDER"}.get(
            scene.name, "HIP"
        )
    view = {"frog_leg": "LL", "lateral": "LL"}.get(scene.pose.kind, "AP")
    return {"side": side, "body_part": body, "view": view, "seed": str(spec.seed), "subject": str(spec.subject)}


def _decorated(spec: FilmSpec, view: View, shown: Array) -> Array:
    frame, offset = view.scene.frame, view.offset_mm
    size = (frame.shape[0] * frame.pixel_mm, frame.shape[1] * frame.pixel_mm)
    keep = _keep_mm(spec, view.hips, frame.pixel_mm, offset)
    side = spec.side if spec.kind == "hip" else str(stream(spec.seed, "marker side").choice(["R", "L"]))
    rng = stream(spec.seed, "decor")
    decor = draw_decor(rng, size, side, "left" if side == "R" else "right", keep, spec.region == "film", spec.wide)
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
