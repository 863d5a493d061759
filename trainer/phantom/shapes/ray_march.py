"""Projects bodies onto a detector: mineral mass, bone path and metal path of every pixel.

A body is a signed-distance grid with a rigid transform. Each ray skips outside the bone by the distance itself (sphere
tracing) and walks 0.75 mm steps inside; between two samples the distance is taken as linear, so the cortical shell
(depth below the local thickness) is cut exactly and stays sharp at pixels far finer than the grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trainer.phantom.shapes.sdf import Grid

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

STEP_MM = 0.75
METAL = "metal"


@dataclass(frozen=True, slots=True)
class Geometry:
    """Tube and detector. World frame as in `pose`: the tube looks along -y, the hips lie near y = 0.

    sid_mm tube to detector, sod_mm tube to the plane y = 0; magnification there is sid / sod. The detector plane is
    y = -(sid - sod). shape (rows, cols); pixel_mm on the detector. origin_mm is the world (x, z) of the top-left CORNER
    of the top-left pixel, source_mm the world (x, z) of the focal spot. Rows run down (-z), columns toward the
    patient's left.
    parallel=True: rays along -y, magnification 1, sid and sod unused.
    """

    sid_mm: float
    sod_mm: float
    pixel_mm: float
    shape: tuple[int, int]
    origin_mm: tuple[float, float]
    source_mm: tuple[float, float] = (0.0, 0.0)
    parallel: bool = False

    @property
    def magnification(self) -> float:
        """Detector mm per mm at the hip plane y = 0."""
        return 1.0 if self.parallel else self.sid_mm / self.sod_mm

    @property
    def spacing_mm(self) -> float:
        """Pixel size at the hip plane, mm."""
        return self.pixel_mm / self.magnification

    def project(self, points_mm: F64) -> F64:
        """World points (n, 3) in mm to pixels (n, 2) as (x, y), SCOORD convention (corner of the first pixel is 0,
        0)."""
        points = np.asarray(points_mm, dtype=np.float64)
        flat = points[..., [0, 2]]
        if not self.parallel:
            source = np.array(self.source_mm)
            flat = source + (flat - source) * (self.sid_mm / (self.sod_mm - points[..., 1]))[..., None]
        return np.stack(
            [(flat[..., 0] - self.origin_mm[0]) / self.pixel_mm, (self.origin_mm[1] - flat[..., 1]) / self.pixel_mm], -1
        )

    def region(
        self, left_px: float, top_px: float, width_px: float, height_px: float, shape: tuple[int, int]
    ) -> "Geometry":
        """The same exposure through a box of this film, at another pitch (width / cols must equal height / rows)."""
        pitch_x, pitch_y = width_px / shape[1], height_px / shape[0]
        if abs(pitch_x - pitch_y) > 1e-6 * pitch_x:
            raise ValueError(f"pixels must be square: {pitch_x} against {pitch_y} film pixels")
        origin = (self.origin_mm[0] + left_px * self.pixel_mm, self.origin_mm[1] - top_px * self.pixel_mm)
        return replace(self, pixel_mm=self.pixel_mm * pitch_x, shape=shape, origin_mm=origin)

    @classmethod
    def centered(
        cls,
        center_mm: tuple[float, float],
        size_mm: tuple[float, float],
        pixel_mm: float,
        sid_mm: float = 1100.0,
        sod_mm: float = 950.0,
        source_mm: tuple[float, float] | None = None,
    ) -> "Geometry":
        """A cone-beam film around a world (x, z) of the plane y = 0; size_mm (height, width) on the detector."""
        source = center_mm if source_mm is None else source_mm
        shape = (round(size_mm[0] / pixel_mm), round(size_mm[1] / pixel_mm))
        magnification = sid_mm / sod_mm
        x, z = (s + (c - s) * magnification for s, c in zip(source, center_mm, strict=True))
        origin = (x - shape[1] * pixel_mm / 2, z + shape[0] * pixel_mm / 2)
        return cls(sid_mm, sod_mm, pixel_mm, shape, origin, (float(source[0]), float(source[1])))


@dataclass(frozen=True, slots=True)
class Body:
    """A grid in the world: world = rotation @ local + translation (the rotation may hold a mirror).

    group: "femur_R", "femur_L", "pelvis" or "metal". keep: planes (a, b, c, d) in local mm; only what has
    a x + b y + c z <= d for all of them is there (the cut face carries no cortex: a fracture, a resection).
    """

    name: str
    group: str
    grid: Grid
    rotation: F64
    translation_mm: F64
    keep: tuple[tuple[float, float, float, float], ...] = ()

    def to_world(self, points_mm: F64) -> F64:
        """Local points (n, 3) to world points (n, 3), mm."""
        return np.asarray(points_mm) @ self.rotation.T + self.translation_mm


@dataclass(frozen=True, slots=True)
class Projection:
    """What the rays met; every map float32 (rows, cols).

    cortical_gcm2, trabecular_gcm2: hydroxyapatite mass of all bones. bone_mm, metal_mm: path lengths.
    femur_trabecular_gcm2: per side present ("R", "L"); pelvis_trabecular_gcm2: hemipelves, sacrum, spine.
    trabecular_gcm2 is the sum of the parts.
    """

    cortical_gcm2: F32
    trabecular_gcm2: F32
    bone_mm: F32
    metal_mm: F32
    femur_trabecular_gcm2: dict[str, F32]
    pelvis_trabecular_gcm2: F32


def project(bodies: Sequence[Body], geometry: Geometry) -> Projection:
    """March every body. Deterministic, single-threaded; cost follows the pixels inside each body's projected box."""
    rows, cols = geometry.shape
    cortical, bone, metal, pelvis = (np.zeros((rows, cols), np.float32) for _ in range(4))
    femora = {b.group[-1]: np.zeros((rows, cols), np.float32) for b in bodies if b.group.startswith("femur")}
    waste = np.zeros((rows, cols), np.float32) if any(b.group == METAL for b in bodies) else metal
    for body in bodies:
        if body.group == METAL:
            _march_body(body, geometry, waste, waste, metal)
        else:
            trabecular = pelvis if body.group == "pelvis" else femora[body.group[-1]]
            _march_body(body, geometry, cortical, trabecular, bone)
    total = pelvis.copy()
    for part in femora.values():
        total += part
    return Projection(cortical, total, bone, metal, femora, pelvis)


def _march_body(body: Body, geometry: Geometry, cortical: F32, trabecular: F32, path: F32) -> None:
    box = _pixel_box(body, geometry)
    if box is None:
        return
    grid = body.grid
    inverse = body.rotation.T
    if geometry.parallel:
        source = inverse @ np.array([0.0, 1000.0, 0.0])
    else:
        source = inverse @ (
            np.array([geometry.source_mm[0], geometry.sod_mm, geometry.source_mm[1]]) - body.translation_mm
        )
    depth = -(geometry.sid_mm - geometry.sod_mm) if not geometry.parallel else 0.0
    corner = inverse @ (np.array([geometry.origin_mm[0], depth, geometry.origin_mm[1]]) - body.translation_mm)
    right, down = inverse @ [geometry.pixel_mm, 0.0, 0.0], inverse @ [0.0, 0.0, -geometry.pixel_mm]
    planes = np.array(body.keep, dtype=np.float64).reshape(-1, 4)
    frame = np.stack([source, corner, right, down])
    lower, upper = grid.bounds_mm()
    _march(
        grid.distance_mm, grid.inner, np.array(grid.origin_mm), grid.step_mm, np.stack([lower, upper]), frame,
        geometry.parallel,
        planes, np.array(box), grid.cortical_gcm3, cortical, trabecular, path,
    )  # fmt: skip


def _pixel_box(body: Body, geometry: Geometry) -> tuple[int, int, int, int] | None:
    """Rows and columns (top, bottom, left, right) that the body's bounding box can shadow, or None."""
    lower, upper = body.grid.bounds_mm()
    corners = np.array(
        [[x, y, z] for x in (lower[0], upper[0]) for y in (lower[1], upper[1]) for z in (lower[2], upper[2])]
    )
    world = body.to_world(corners)
    if not geometry.parallel and world[:, 1].max() > 0.95 * geometry.sod_mm:
        return (0, geometry.shape[0], 0, geometry.shape[1])  # a corner behind the tube cannot be projected: all
    pixels = geometry.project(world)
    left, top = np.floor(pixels.min(0)).astype(int) - 1
    right, bottom = np.ceil(pixels.max(0)).astype(int) + 1
    left, top = max(int(left), 0), max(int(top), 0)
    right, bottom = min(int(right), geometry.shape[1]), min(int(bottom), geometry.shape[0])
    return (top, bottom, left, right) if right > left and bottom > top else None


@njit(cache=True, fastmath=True, inline="always")
def _cell(position: float, size: int) -> tuple[int, float]:
    """Index and fraction of a coordinate in grid units, clamped into the grid."""
    p = min(max(position, 0.0), size - 1.001)
    i = int(p)
    return i, p - i


@njit(cache=True, fastmath=True, inline="always")
def _sample(a: F32, i: int, j: int, k: int, u: float, v: float, w: float) -> float:
    """Trilinear value of a (nx, ny, nz) grid."""
    c00 = a[i, j, k] * (1 - w) + a[i, j, k + 1] * w
    c01 = a[i, j + 1, k] * (1 - w) + a[i, j + 1, k + 1] * w
    c10 = a[i + 1, j, k] * (1 - w) + a[i + 1, j, k + 1] * w
    c11 = a[i + 1, j + 1, k] * (1 - w) + a[i + 1, j + 1, k + 1] * w
    value: float = (c00 * (1 - v) + c01 * v) * (1 - u) + (c10 * (1 - v) + c11 * v) * u
    return value


@njit(cache=True, fastmath=True, inline="always")
def _sample_pair(a: F32, i: int, j: int, k: int, u: float, v: float, w: float) -> tuple[float, float]:
    """Trilinear values of a (nx, ny, nz, 2) grid."""
    s = np.float64(0.0)
    t = np.float64(0.0)
    for di in range(2):
        x = u if di == 1 else 1 - u
        for dj in range(2):
            xy = x * (v if dj == 1 else 1 - v)
            a0, b0 = a[i + di, j + dj, k, 0], a[i + di, j + dj, k, 1]
            a1, b1 = a[i + di, j + dj, k + 1, 0], a[i + di, j + dj, k + 1, 1]
            s += xy * (a0 * (1 - w) + a1 * w)
            t += xy * (b0 * (1 - w) + b1 * w)
    return s, t


@njit(cache=True, fastmath=True, inline="always")
def _below(d0: float, d1: float, level: float) -> float:
    """Fraction of a segment where a value running linearly from d0 to d1 is below a level."""
    if d0 < level:
        return 1.0 if d1 < level else (level - d0) / (d1 - d0)
    return (level - d1) / (d0 - d1) if d1 < level else 0.0


@njit(cache=True, fastmath=True, inline="always")
def _span(source: F64, ray: F64, bounds: F64, planes: F64) -> tuple[float, float]:
    """Entry and exit of a ray (t in mm) through the box and the kept half spaces."""
    near, far = 0.0, 1e9
    for axis in range(3):
        if abs(ray[axis]) > 1e-9:
            a = (bounds[0, axis] - source[axis]) / ray[axis]
            b = (bounds[1, axis] - source[axis]) / ray[axis]
            near, far = max(near, min(a, b)), min(far, max(a, b))
        elif source[axis] < bounds[0, axis] or source[axis] > bounds[1, axis]:
            return 1.0, 0.0
    for p in range(planes.shape[0]):
        along = planes[p, 0] * ray[0] + planes[p, 1] * ray[1] + planes[p, 2] * ray[2]
        room = planes[p, 3] - planes[p, 0] * source[0] - planes[p, 1] * source[1] - planes[p, 2] * source[2]
        if along > 1e-9:
            far = min(far, room / along)
        elif along < -1e-9:
            near = max(near, room / along)
        elif room < 0:
            return 1.0, 0.0
    return near, far


@njit(cache=True, fastmath=True)
def _ray(  # noqa: PLR0913
    distance: F32, inner: F32, origin: F64, scale: float, source: F64, ray: F64, near: float, far: float, out: F64
) -> None:
    """Walk one ray; out[0..2] = cortical mm, trabecular g/cm3 x mm, bone mm. scale = 1 / grid step."""
    nx, ny, nz = distance.shape
    cortex_mm, trabecular, bone = 0.0, 0.0, 0.0
    t = near
    previous, previous_t = 9e9, near
    while True:
        t = min(t, far)
        i, u = _cell((source[0] + t * ray[0] - origin[0]) * scale, nx)
        j, v = _cell((source[1] + t * ray[1] - origin[1]) * scale, ny)
        k, w = _cell((source[2] + t * ray[2] - origin[2]) * scale, nz)
        d = _sample(distance, i, j, k, u, v, w)
        step = STEP_MM
        if d < 0.0 or previous < 0.0:
            if previous > 1e9:
                previous = d
            c, rho = _sample_pair(inner, i, j, k, u, v, w)
            length = t - previous_t
            inside = _below(previous, d, 0.0)
            core = _below(previous, d, -c)
            bone += inside * length
            cortex_mm += (inside - core) * length
            trabecular += core * length * rho
            room = -d - c
            if room > 1.5:
                step = min(room - 0.6, 2.0)
        elif d > 1.0:
            step = max(d - 0.25, STEP_MM)
        if t >= far:
            break
        previous, previous_t = d, t
        t += step
    out[0], out[1], out[2] = cortex_mm, trabecular, bone


@njit(cache=True, fastmath=True)
def _march(  # noqa: PLR0913
    distance: F32, inner: F32, origin: F64, grid_step: float, bounds: F64, frame: F64, parallel: bool, planes: F64,
    box: NDArray[np.int64], cortical_gcm3: float, cortical: F32, trabecular: F32, path: F32
) -> None:  # fmt: skip
    """Add one body to the maps (rows x cols) over box = (top, bottom, left, right)."""
    ray, source, out = np.zeros(3), np.zeros(3), np.zeros(3)
    for row in range(box[0], box[1]):
        for col in range(box[2], box[3]):
            length = 0.0
            for axis in range(3):
                pixel = frame[1, axis] + (col + 0.5) * frame[2, axis] + (row + 0.5) * frame[3, axis]
                source[axis] = pixel + frame[0, axis] if parallel else frame[0, axis]
                ray[axis] = pixel - source[axis]
                length += ray[axis] ** 2
            length = np.sqrt(length)
            for axis in range(3):
                ray[axis] /= length
            near, far = _span(source, ray, bounds, planes)
            if far - near > 1e-3:
                _ray(distance, inner, origin, 1.0 / grid_step, source, ray, near, far, out)
                cortical[row, col] += 0.1 * cortical_gcm3 * out[0]
                trabecular[row, col] += 0.1 * out[1]
                path[row, col] += out[2]
