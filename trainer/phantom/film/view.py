"""One view: a posed patient in a film's frame, its bones marched once for all the films taken of it, and its hips."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

from trainer.phantom.beam.beam import Array
from trainer.phantom.beam.texture import TextureLook, textured
from trainer.phantom.body.bodies import landmarks
from trainer.phantom.film.dxa_label import dxa_label, true_bmd
from trainer.phantom.film.scene import FilmSpec, Points, Scene, scene_of, stream
from trainer.phantom.shapes.coarse_grid import block_mean
from trainer.phantom.shapes.ray_march import Geometry, Projection, project

COARSE_PIXEL_MM = 2.4
_KEPT = 4


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
class Bones:
    """What the rays met, float32 (rows, cols): cortical and trabecular mineral in g/cm2, paths through bone and metal
    in mm.
    """

    cortical_gcm2: Array
    trabecular_gcm2: Array
    bone_mm: Array
    metal_mm: Array


class View:
    """All of a film that hangs on bone, pose and frame alone; each part is made when it is first asked for.

    Nobody may change its arrays: other films of the view read them too.
    """

    def __init__(self, spec: FilmSpec) -> None:
        self.spec = spec
        self.scene = scene_of(spec)

    @property
    def offset_mm(self) -> tuple[float, float]:
        """Where the window begins on the whole film (x, y), mm on the detector."""
        frame, view = self.scene.frame, self.scene.view
        return (view.origin_mm[0] - frame.origin_mm[0], frame.origin_mm[1] - view.origin_mm[1])

    @cached_property
    def bones(self) -> Bones:
        """The bones on the pixels of the window, with their texture: each pixel the mean of rays x rays rays."""
        view, n = self.scene.view, self.spec.rays
        rows, cols = view.shape
        fine = view.region(0, 0, cols, rows, (rows * n, cols * n))
        maps = project(self.scene.bodies, fine)
        parts = (maps.cortical_gcm2, self._trabecular(maps, fine), maps.bone_mm, maps.metal_mm)
        return Bones(*(block_mean(part, n) for part in parts))

    def _trabecular(self, maps: Projection, geometry: Geometry) -> Array:
        scene, rng = self.scene, stream(self.spec.subject, "texture")
        look = TextureLook.draw(rng, scene.subject.latent_b)
        total = textured(maps.pelvis_trabecular_gcm2, look, None, geometry.spacing_mm, rng)
        for side, part in sorted(maps.femur_trabecular_gcm2.items()):
            lines = landmarks(scene.subject, side, scene.pose, geometry).texture_px
            total = total + textured(part, look, lines, geometry.spacing_mm, rng)
        return total

    @cached_property
    def coarse_frame(self) -> Geometry:
        """The whole film in pixels of about 2.4 mm."""
        frame = self.scene.frame
        step = max(round(COARSE_PIXEL_MM / frame.pixel_mm), 1)
        rows, cols = (-(-n // step) for n in frame.shape)
        return frame.region(0, 0, cols * step, rows * step, (rows, cols))

    @cached_property
    def coarse_bones(self) -> Bones:
        """The bones of the whole film on `coarse_frame`, without texture."""
        maps = project(self.scene.bodies, self.coarse_frame)
        return Bones(maps.cortical_gcm2, maps.trabecular_gcm2, maps.bone_mm, maps.metal_mm)

    @cached_property
    def hips(self) -> tuple[PhantomHip, ...]:
        """Every hip whose head center is on the film, the side of the specification first."""
        scene, spec = self.scene, self.spec
        left, top = (v / scene.view.pixel_mm for v in self.offset_mm)
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


_kept_view: Callable[[FilmSpec], View] = lru_cache(maxsize=_KEPT)(View)


def view_of(spec: FilmSpec) -> View:
    """The view of a film. One with a seed of its own (`view_seed`) is kept for the films of it that follow."""
    return View(spec.bare()) if spec.view_seed is None else _kept_view(spec.bare())


def _kind(spec: FilmSpec, scene: Scene, side: str) -> str:
    if spec.case in ("implant", "fracture"):
        return spec.case if side in scene.subject.implants or side in scene.subject.fractures else "intact"
    return "intact" if spec.case == "cut_off" else spec.case


def _bmd(spec: FilmSpec, scene: Scene, side: str) -> tuple[dict[str, float], dict[str, float]]:
    """True BMD and its noisy label; the label belongs to the hip, not to the film, and has a stream of its own."""
    true = true_bmd(scene.subject.femora[side])
    return true, dxa_label(true, stream(spec.subject, f"label {side}"))
