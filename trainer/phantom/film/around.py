"""What lies around the bones of one film: soft tissue and clutter, what of it the beam meets, and the whole film seen
coarsely.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from trainer.phantom.beam.beam import (
    METAL_GCM3,
    Array,
    Coarse,
    Exposure,
    Masses,
    coarse_exposure,
    displaced,
    transmission,
)
from trainer.phantom.beam.clutter import Canvas, add_clutter
from trainer.phantom.beam.soft_parts import Leg
from trainer.phantom.beam.tissue import COARSE_MM, Tissue, draw_limb, draw_tissue
from trainer.phantom.body.bodies import femur_transform
from trainer.phantom.film.scene import FilmSpec, Scene, size_of, stream, subject_of
from trainer.phantom.film.view import View, view_of
from trainer.phantom.shapes.coarse_grid import upsample
from trainer.phantom.shapes.ray_march import Geometry

TISSUE_REACH_MM = 30.0
DETECTOR_PIXEL_MM = 0.42
"""A film of wider pixels holds means of pixels of this size, and so much less of the noise that each of them has."""


class Body:
    """The patient's soft tissue on its own coarse grid, and how to bring it to any window of the film."""

    def __init__(self, spec: FilmSpec, scene: Scene) -> None:
        frame = scene.frame
        size = size_of(scene.subject)
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
        self.maps: Tissue = (
            draw_tissue(rng, scene.subject.bmi, legs, x, y, size, spec.wide) if legs else draw_limb(rng, x, y)
        )
        self.frame = frame

    def on(self, name: str, view: Geometry) -> Array:
        """One of the tissue's maps on the pixels of `view`."""
        ratio = view.pixel_mm / self.frame.pixel_mm
        left = (view.origin_mm[0] - self.frame.origin_mm[0]) / self.frame.pixel_mm
        top = (self.frame.origin_mm[1] - view.origin_mm[1]) / self.frame.pixel_mm
        corner = np.array(self.middle) + self.low * self.unit  # of the tissue grid, film pixels
        coarse: Array = getattr(self.maps, name)
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


@dataclass(frozen=True, slots=True)
class Around:
    """The surroundings of a film: its soft tissue, and of a region the whole film seen coarsely (None for a film)."""

    body: Body
    whole: Coarse | None


def around_of(spec: FilmSpec, view: View) -> Around:
    """The surroundings of a film; those of an intact pelvis are kept, for both its hips are cut from one film."""
    if spec.region == "roi" and spec.kind == "pelvis" and spec.case == "intact" and spec.view_seed is not None:
        return _kept_around(replace(spec, side="R"))
    return _around(spec, view)


@lru_cache(maxsize=1)
def _kept_around(spec: FilmSpec) -> Around:
    return _around(spec, view_of(spec))


def _around(spec: FilmSpec, view: View) -> Around:
    body = Body(spec, view.scene)
    return Around(body, _whole(spec, view, body) if spec.region == "roi" else None)


def _whole(spec: FilmSpec, view: View, body: Body) -> Coarse:
    """The whole film from coarse masses, without clutter."""
    frame, bones, exposure = view.coarse_frame, view.coarse_bones, exposure_of(spec)
    tissue, marrow = displaced(
        bones.cortical_gcm2, bones.trabecular_gcm2, bones.bone_mm, body.on("thickness_cm", frame)
    )
    mineral, metal = bones.cortical_gcm2 + bones.trabecular_gcm2, bones.metal_mm * np.float32(METAL_GCM3 / 10.0)
    maps = Masses(mineral, metal, tissue, body.on("fat_share", frame), marrow)
    return coarse_exposure(transmission(maps, exposure), tissue, frame.pixel_mm, exposure)


def exposure_of(spec: FilmSpec) -> Exposure:
    """How a film is exposed; known without making it."""
    subject = subject_of(spec)
    drawn = Exposure.draw(stream(spec.seed, "exposure"), subject.bmi, subject.age_years, spec.wide)
    noise = drawn.electronic_noise * min(DETECTOR_PIXEL_MM / spec.pixel_mm, 1.0)
    return replace(drawn, kvp=drawn.kvp + spec.kvp_shift, electronic_noise=noise)


def masses_of(spec: FilmSpec, view: View, body: Body) -> Masses:
    """Mass maps of the window: bone with its texture, the tissue it leaves, metal, and what else lies in the beam."""
    bones, window = view.bones, view.scene.view
    outline = body.on("thickness_cm", window)
    tissue, marrow = displaced(bones.cortical_gcm2, bones.trabecular_gcm2, bones.bone_mm, outline)
    mineral, metal = bones.cortical_gcm2 + bones.trabecular_gcm2, bones.metal_mm * np.float32(METAL_GCM3 / 10.0)
    left, top = (v / window.pixel_mm for v in view.offset_mm)
    busy = spec.pose == "wide" or spec.kind == "pelvis" or spec.case != "intact"
    canvas = Canvas(mineral, metal, tissue, body.unit, (body.middle[0] - left, body.middle[1] - top))
    add_clutter(canvas, stream(spec.seed, "clutter"), 1.0 if busy else 0.35, spec.wide)
    return Masses(mineral, metal, tissue, body.on("fat_share", window), marrow)
