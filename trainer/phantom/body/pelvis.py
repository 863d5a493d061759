"""The pelvis as signed-distance grids: one hemipelvis (mirrored for the other side), sacrum with L4 and L5.

Positions were set by eye against a female pelvis of 22 mm head radius; everything scales with the subject.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numba import njit

from trainer.phantom.body.anatomy import Pelvis
from trainer.phantom.shapes.sdf import F32, F64, Grid, axes, capsule, ellipsoid, finish, noise, smooth_max, smooth_min

HEMI_STEP_MM, SACRUM_STEP_MM = 2.0, 2.2

# The iliac wing seen from the side, (anterior, up) mm from the hip center: from the AIIS over the crest to the sciatic
# notch.
WING_OUTLINE_MM = np.array([
    (38, 26), (44, 46), (53, 66), (49, 92), (26, 122), (-5, 140), (-38, 146), (-70, 134), (-92, 112), (-101, 86),
    (-95, 68), (-78, 57), (-52, 52),
    (-36, 40), (-36, 15), (-30, -4), (0, -8), (28, 2),
], dtype=np.float64)  # fmt: skip
BENT_OVER_MM = 45.0
"""Over about so many mm the field changes by which the parts of a pelvis lie elsewhere than in the mean."""
# Lateral position of its mid-surface: 1, y, y^2, z, y z, z^2 with y = anterior / 100 mm, z = (up - 40 mm) / 100 mm.
WING_SURFACE_MM = np.array([2.3, 47.6, 0.4, 48.5, 44.7, -9.1])

# Processes of a lumbar vertebra around its body's center: two ends and a radius; transverse, pedicle, facet, spinous.
PROCESSES_MM = np.array([
    (22.0, -22.0, 3.0, 42.0, -28.0, 5.0, 4.5), (13.5, -14.0, 4.0, 15.0, -34.0, 2.0, 5.5),
    (15.0, -32.0, 10.0, 18.0, -36.0, -16.0, 5.5), (0.0, -40.0, 0.0, 0.0, -58.0, -8.0, 4.0),
])  # fmt: skip


def pelvis_grid(pelvis: Pelvis) -> Grid:
    """Hemipelvis in its own frame (origin hip center, x lateral, y anterior, z up), pitch 2 mm."""
    return _left(_hemipelvis_grid(replace(pelvis, mineral=1.0)), pelvis.mineral)


def sacrum_grid(pelvis: Pelvis) -> Grid:
    """Sacrum, coccyx, L5 and L4 in the pelvic frame (origin between the hip centers), pitch 2.2 mm."""
    return _left(_sacrum_grid(replace(pelvis, mineral=1.0)), pelvis.mineral)


def _left(grid: Grid, mineral: float) -> Grid:
    """The bone with that share of its mineral: its shape stays, so it is cut once for all losses of a person."""
    return grid if mineral == 1.0 else replace(grid, inner=np.float32(mineral) * grid.inner)


@lru_cache(maxsize=8)
def _hemipelvis_grid(pelvis: Pelvis) -> Grid:
    u = pelvis.scale
    tall, deep = max(pelvis.wing_height, 1.0), max(pelvis.wing_depth, 1.0)
    lower = np.array([-pelvis.half_hip_distance_mm - 3.0, -108.0 * u * deep, -74.0 * u])
    lateral = (64.0 * pelvis.wing_flare + 6.0) * u + max(pelvis.deep_mm, 0.0)
    upper = np.array([lateral, 62.0 * u * deep, 152.0 * u * tall])
    step = HEMI_STEP_MM * (0.7 if pelvis.open_growth_plates else 1.0)
    x, y, z = axes(lower, upper, step)
    outline = WING_OUTLINE_MM * u * np.array([pelvis.wing_depth, pelvis.wing_height])
    surface = WING_SURFACE_MM * u * np.array([1, pelvis.wing_flare, 1, pelvis.wing_flare, 1, 1])
    rng = np.random.default_rng(pelvis.noise_seed)
    bumps = noise(rng, (len(x), len(y), len(z)), step, 9.0)
    numbers = _numbers(pelvis)
    bars, ball = _bent(_bars(numbers), pelvis)
    rough, inner = _hemipelvis(x, y, z, numbers, surface, outline, bars, ball, bumps)
    _uneven(inner, noise(rng, rough.shape, step, 7.0), pelvis.density_uneven)
    origin = (float(lower[0]), float(lower[1]), float(lower[2]))
    return Grid(finish(rough, step), inner, origin, step)


@lru_cache(maxsize=8)
def _sacrum_grid(pelvis: Pelvis) -> Grid:
    u = pelvis.scale
    lower, upper = np.array([-62.0, -100.0, -30.0]) * u, np.array([62.0, 24.0, 166.0]) * u
    x, y, z = axes(lower, upper, SACRUM_STEP_MM)
    rng = np.random.default_rng(pelvis.noise_seed + 1)
    bumps = noise(rng, (len(x), len(y), len(z)), SACRUM_STEP_MM, 9.0)
    rough, inner = _sacrum(x, y, z, _numbers(pelvis), bumps)
    _uneven(inner, noise(rng, rough.shape, SACRUM_STEP_MM, 7.0), pelvis.density_uneven)
    origin = (float(lower[0]), float(lower[1]), float(lower[2]))
    return Grid(finish(rough, SACRUM_STEP_MM), inner, origin, SACRUM_STEP_MM)


def _uneven(inner: F32, field: F32, relative_sd: float) -> None:
    """Uneven cortex and density, in place; the mean stays."""
    inner[..., 0] *= np.exp(np.float32(0.7 * relative_sd) * field)
    inner[..., 1] *= np.exp(np.float32(relative_sd) * field - np.float32(0.5 * relative_sd**2))


def _numbers(p: Pelvis) -> F64:
    """The numbers of a pelvis in the order the kernels read them."""
    return np.array([
        p.scale, p.half_hip_distance_mm, p.socket_radius_mm, p.plate_mm, p.cortex_mm, p.sourcil_mm, p.trabecular_gcm3,
        p.canal_width,
        p.pubic_angle, 1.0 if p.open_growth_plates else 0.0,
        p.cover_mm, p.fossa_depth, p.ischium_width, p.ramus_width, p.obturator_drop, p.rim_osteophyte_mm,
        p.surface_noise_mm, p.wall_mm, p.cup_mm, p.deep_mm, p.rim_turn,
    ])  # fmt: skip


def _bent(bars: F64, pelvis: Pelvis) -> tuple[F64, F64]:
    """The bars of a pelvis, and the center of the ischial tuberosity, moved by a field that changes slowly: ends that
    meet stay together. Radii change along.
    """
    u = pelvis.scale
    ball = np.array([pelvis.deep_mm - 28.0 * u, -30.0 * u, -46.0 * u])
    if pelvis.bent_mm == 0.0:
        return bars, ball
    rng = np.random.default_rng(pelvis.noise_seed + 2)
    waves = rng.normal(0.0, 1.0 / (BENT_OVER_MM * u), (8, 3))
    phases, moves = rng.uniform(0.0, 2.0 * np.pi, 8), rng.normal(0.0, 0.5 * pelvis.bent_mm, (8, 3))
    ends = np.concatenate([bars[:, :3], bars[:, 3:6], ball[None]])
    ends = ends + np.sin(ends @ waves.T + phases) @ moves
    radii = bars[:, 6:] * np.exp(rng.normal(0.0, 0.03 * pelvis.bent_mm, (len(bars), 1)))
    return np.concatenate([ends[: len(bars)], ends[len(bars) : -1], radii], 1), ends[-1]


@njit(cache=True, fastmath=True)
def _polygon(y: float, z: float, outline: F64) -> float:
    """Signed distance to a closed polygon (negative inside)."""
    best = 1e9
    inside = False
    n = len(outline)
    for a in range(n):
        b = (a + 1) % n
        ey, ez = outline[b, 0] - outline[a, 0], outline[b, 1] - outline[a, 1]
        wy, wz = y - outline[a, 0], z - outline[a, 1]
        s = min(max((wy * ey + wz * ez) / (ey * ey + ez * ez), 0.0), 1.0)
        best = min(best, (wy - s * ey) ** 2 + (wz - s * ez) ** 2)
        if (outline[a, 1] > z) != (outline[b, 1] > z) and wy < ey * wz / ez:
            inside = not inside
    distance: float = -np.sqrt(best) if inside else np.sqrt(best)
    return distance


@njit(cache=True, fastmath=True)
def _bars(p: F64) -> F64:
    """Columns and rami as capsules: (n, 8) = two ends, two radii. Medial positions follow the width of the canal."""
    u, half, canal, angle = p[0], p[1] + p[19], p[7], p[8]
    low = 42.0 + (angle - 1.0) * 14.0
    bars = np.array([
        (-33.0 * canal, -70.0, 74.0, -26.0 * canal, -34.0, 40.0, 10.0, 8.5),  # sacroiliac joint to the brim
        (-26.0 * canal, -34.0, 40.0, -28.0 * canal, 6.0, 16.0, 8.5, 7.5),  # brim
        (-28.0 * canal, 6.0, 16.0, -40.0, 28.0, -4.0, 8.0, 7.5),
        (-40.0, 28.0, -4.0, -72.0, 43.0, -22.0, 7.5, 9.0),  # superior pubic ramus
        (-4.0, 24.0, 14.0, -36.0, 28.0, -2.0, 11.0, 7.0),
        (-78.0, 42.0, -low, -54.0, 8.0, -53.0, 8.5, 8.0),  # inferior pubic ramus
        (-54.0, 8.0, -53.0, -33.0, -16.0, -57.0, 8.0, 10.5),
        (-8.0, -28.0, 34.0, -14.0, -30.0, -8.0, 11.0, 12.0),  # posterior column
        (-16.0, -26.0, -6.0, -28.0, -27.0, -40.0, 13.5, 13.0),  # ischium
        (-20.0, -36.0, 4.0, -42.0, -48.0, 0.0, 6.0, 2.6),  # ischial spine
        (8.0, 22.0, 10.0, 20.0, 37.0, 28.0, 9.0, 6.0),  # AIIS
    ])  # fmt: skip
    for a in (3, 5, 6):
        bars[a, 6:] *= p[13]
    for a in (7, 8):
        bars[a, 6:] *= p[12]
    for a in (5, 6, 8):
        bars[a, 5] *= p[14]
    bars[6, 2] *= p[14]
    bars *= u
    shift = half - 88.0 * u  # the symphysis stays in the midline
    for a in (3, 5, 6):
        bars[a, 0] -= shift * (0.4 if a == 3 else 1.0 if a == 5 else 0.5)
        bars[a, 3] -= shift * (1.0 if a == 3 else 0.5 if a == 5 else 0.0)
    bars[2, 3] -= 0.4 * shift
    for a in range(len(bars)):
        bars[a, 0] += p[19]
        bars[a, 3] += p[19]
    return bars


@njit(cache=True, fastmath=True, inline="always")
def _socket(d: float, x: float, y: float, z: float, r: float, p: F64) -> float:
    """The distance d with wall, cup and rim of the socket joined to it, ball and fossa cut out; r from its center."""
    u, socket = p[0], p[2]
    beyond = socket + p[17] * u - 0.10 * (z + 8.0 * u)
    wall = ellipsoid(x + beyond, y + 6.0 * u, z + 1.0 * u, 3.4 * u, 26.0 * u, 29.0 * u)
    d = smooth_min(d, wall, 5.0 * u)  # the quadrilateral plate: the ilioischial line of a film
    mouth = 0.72 * x + p[20] * y - 0.62 * z - 0.5 * u - p[10]  # the plane of the socket's rim
    cup = smooth_max(r - socket - p[18] * u, mouth, 4.0 * u)
    if p[15] > 0.0 and x > 0.0:
        spur = np.exp(-((mouth / (4.0 * u)) ** 2) - ((r - socket - 3.0 * u) / (3.5 * u)) ** 2)
        cup -= p[15] * spur
    d = smooth_min(d, cup, 8.0 * u)
    deep = 0.50 * socket * p[11]
    fossa = np.sqrt((x + deep) ** 2 + y * y + (z + 0.40 * socket) ** 2) - deep
    d = smooth_max(d, -(r - socket), 2.5 * u)
    cut: float = smooth_max(d, -fossa, 6.0 * u)
    return cut


@njit(cache=True, fastmath=True, inline="always")
def _mineral(x: float, y: float, z: float, r: float, near: float, rim: float, p: F64) -> tuple[float, float]:
    """Cortex (mm) and trabecular density (g/cm3): thick at sourcil, brim, notch and crest."""
    u, socket = p[0], p[2]
    dome = 0.0
    if z > 0:  # the sourcil
        side, front = x / (r + 1e-6), y / (r + 1e-6)
        dome = np.exp(-(((r - socket) / (3.5 * u)) ** 2) - ((side - 0.30) / 0.38) ** 2 - ((front - 0.05) / 0.6) ** 2)
    notch = np.exp(-((y + 36.0 * u) ** 2 + (z - 38.0 * u) ** 2) / (16.0 * u) ** 2)
    brim = np.exp(-(max(near, -2.0) + 2.0) / (3.0 * u))
    roof = np.exp(-(((r - socket - 8.0 * u) / (12.0 * u)) ** 2)) if z > 0 else 0.0
    cortex = p[4] * (1.0 + 0.9 * brim + 0.3 * notch + 0.35 * rim) + p[5] * dome
    return cortex, p[6] * (0.75 + 0.9 * roof + 0.3 * brim)


@njit(cache=True, fastmath=True)
def _hemipelvis(  # noqa: PLR0913
    xs: F64, ys: F64, zs: F64, p: F64, surface: F64, outline: F64, bars: F64, ball: F64, bumps: F32
) -> tuple[F32, F32]:
    """Rough distance (nx, ny, nz) and inner = (cortex mm, trabecular g/cm3)."""
    shape = (len(xs), len(ys), len(zs))
    rough = np.empty(shape, np.float32)
    inner = np.empty((shape[0], shape[1], shape[2], 2), np.float32)
    u, half, socket = p[0], p[1], p[2]
    for j in range(shape[1]):
        for k in range(shape[2]):
            y, z = ys[j], zs[k]
            edge = _polygon(y, z, outline)
            v, w = y / (100.0 * u), (z - 40.0 * u) / (100.0 * u)
            middle = surface[0] + v * (surface[1] + surface[2] * v) + w * (surface[3] + surface[4] * v + surface[5] * w)
            middle += p[19]
            sy = (surface[1] + 2 * surface[2] * v + surface[4] * w) / (100.0 * u)
            sz = (surface[3] + surface[4] * v + 2 * surface[5] * w) / (100.0 * u)
            slope = np.sqrt(1.0 + sy * sy + sz * sz)
            rim = np.exp(-((edge / (9.0 * u)) ** 2)) / (1.0 + np.exp((45.0 * u - z) / (6.0 * u)))
            joint = np.exp(-(((v + 0.62) / 0.18) ** 2 + ((w - 0.35) / 0.25) ** 2))  # thick at the sacroiliac joint
            low = np.exp(-max(z - 22.0 * u, 0.0) / (13.0 * u))  # and toward the socket
            thick = 0.5 * p[3] + u * (3.6 * rim + 13.0 * low + 4.0 * joint)
            for i in range(shape[0]):
                x = xs[i]
                plate = abs(x - middle) / slope - thick
                d = smooth_max(plate, edge, 5.0 * u)
                near = 1e9
                for a in range(bars.shape[0]):
                    bar = capsule(x, y, z, bars[a, 0:3], bars[a, 3:6], bars[a, 6], bars[a, 7])
                    d = smooth_min(d, bar, 9.0 * u)
                    if a < 4:
                        near = min(near, bar)
                pubis = ellipsoid(x + half - 9.0 * u, y - 43.0 * u, z + 31.0 * u, 9.0 * u, 9.0 * u, 17.0 * u)
                tuberosity = ellipsoid(x - ball[0], y - ball[1], z - ball[2], 13.5 * u, 17.0 * u, 17.0 * u)
                d = smooth_min(smooth_min(d, pubis, 9.0 * u), tuberosity, 9.0 * u)
                r = np.sqrt(x * x + y * y + z * z)
                d = _socket(d, x, y, z, r, p)
                d = smooth_max(d, -(x + half - 2.4 * u) + 0.004 * min((z + 31.0 * u) ** 2, 500.0), 5.0 * u)
                if p[9] > 0.5 and r < socket + 14.0 * u:  # triradiate cartilage
                    d = max(d, 2.2 * u - abs(z - 4.0 * u - 0.3 * x))
                    if z < 4.0 * u:
                        d = max(d, 2.0 * u - abs(y - 2.0 * u))
                rough[i, j, k] = d + 0.7 * p[16] * bumps[i, j, k]
                if d > 6.0:  # nothing will be read here
                    inner[i, j, k, 0] = inner[i, j, k, 1] = 0.0
                    continue
                inner[i, j, k, 0], inner[i, j, k, 1] = _mineral(x, y, z, r, near, rim, p)
    return rough, inner


@njit(cache=True, fastmath=True, inline="always")
def _vertebra(x: float, y: float, z: float, cy: float, cz: float, lean: float, u: float) -> tuple[float, float]:
    """Distance to a lumbar vertebra whose body's center is (0, cy, cz), leaning forward; and to its end plates."""
    c, s = np.cos(lean), np.sin(lean)
    py, pz = y - cy, z - cz
    b, h = c * py - s * pz, s * py + c * pz
    waist = 1.0 - 0.10 * (1.0 - min((h / (13.5 * u)) ** 2, 1.0))
    round_ = np.sqrt((x / (25.0 * u * waist)) ** 2 + (b / (17.0 * u * waist)) ** 2)
    d = smooth_max((round_ - 1.0) * 17.0 * u, abs(h) - 13.5 * u, 4.0 * u)
    q = abs(x)
    ends = np.empty(3), np.empty(3)
    for end in range(4):
        values = PROCESSES_MM[end]
        for axis in range(3):
            ends[0][axis], ends[1][axis] = values[axis] * u, values[axis + 3] * u
        radius = values[6] * u
        d = smooth_min(d, capsule(q, b, h, ends[0], ends[1], radius, radius * (0.7 if end == 0 else 1.0)), 4.0 * u)
    lamina = np.sqrt((max(q - 14.0 * u, 0.0)) ** 2 + (b + 37.0 * u) ** 2 + (max(abs(h) - 5.0 * u, 0.0)) ** 2) - 3.5 * u
    return smooth_min(d, lamina, 4.0 * u), abs(abs(h) - 13.0 * u)


@njit(cache=True, fastmath=True)
def _sacrum(xs: F64, ys: F64, zs: F64, p: F64, bumps: F32) -> tuple[F32, F32]:
    """Rough distance (nx, ny, nz) and inner = (cortex mm, trabecular g/cm3)."""
    shape = (len(xs), len(ys), len(zs))
    rough = np.empty(shape, np.float32)
    inner = np.empty((shape[0], shape[1], shape[2], 2), np.float32)
    u, canal = p[0], p[7]
    level = np.array([-8.0, 10.0, 30.0, 55.0, 75.0, 110.0]) * u
    width = np.array([13.0, 21.0, 35.0, 50.0, 57.0, 58.0]) * u * (0.5 + 0.5 * canal)
    depth = np.array([5.0, 7.0, 10.0, 16.0, 22.0, 24.0]) * u
    back = np.array([-66.0, -72.0, -75.0, -68.0, -54.0, -34.0]) * u
    holes = np.array([(22.0, 66.0, 5.0), (19.5, 47.0, 4.5), (16.5, 29.0, 4.0), (14.0, 14.0, 3.4)]) * u
    tail = np.array([(0.0, -70.0, 2.0), (0.0, -56.0, -20.0)]) * u
    for k in range(shape[2]):
        z = zs[k]
        w, h, c = np.interp(z, level, width), np.interp(z, level, depth), np.interp(z, level, back)
        for i in range(shape[0]):
            x = xs[i]
            for j in range(shape[1]):
                y = ys[j]
                r = ((abs(x) / w) ** 2.6 + (abs(y - c) / h) ** 2.2) ** (1.0 / 2.4)
                top = 0.85 * (z - 86.0 * u) + 0.53 * (y + 38.0 * u) + 0.30 * max(abs(x) - 24.0 * u, 0.0)
                d = smooth_max(smooth_max((r - 1.0) * h, top, 3.0 * u), -z - 4.0 * u, 6.0 * u)
                for a in range(4):
                    hole = np.sqrt((abs(x) - holes[a, 0]) ** 2 + (z - holes[a, 1] - 0.2 * (y - c)) ** 2) - holes[a, 2]
                    d = smooth_max(d, -hole, 2.0 * u)
                d = smooth_min(d, capsule(x, y, z, tail[0], tail[1], 8.0 * u, 4.0 * u), 6.0 * u)
                five, end5 = _vertebra(x, y, z, -27.0 * u, 106.0 * u, 0.30, u)
                four, end4 = _vertebra(x, y, z, -19.0 * u, 144.0 * u, 0.10, u)
                rough[i, j, k] = min(d, min(five, four)) + p[16] * bumps[i, j, k]
                plate = np.exp(-abs(top) / 3.0) if abs(x) < 27.0 * u and d < five else 0.0
                if five < d or four < d:
                    plate = np.exp(-min(end5, end4) / 2.0)
                inner[i, j, k, 0] = p[4] * (0.75 + 0.7 * plate)
                inner[i, j, k, 1] = p[6] * (0.85 + 0.5 * np.exp(-(((r - 1.0) * 6.0) ** 2)))
    return rough, inner
