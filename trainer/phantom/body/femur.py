"""The proximal femur as a signed-distance grid: head, neck, metaphysis, shaft and trochanters blended into one
shape."""

import math
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trainer.phantom.body.anatomy import Femur
from trainer.phantom.shapes.sdf import F32, F64, Grid, axes, crossings, ellipsoid, finish, noise, smooth_max, smooth_min

STEP_MM = 1.5
GREATER, LESSER = 1, 2


@lru_cache(maxsize=8)
def femur_grid(femur: Femur) -> Grid:
    """The grid of a femur in its own frame (origin head center, x lateral, y anterior, z up), pitch 1.5 mm.

    surface_mm: "greater" and "lesser", the points of the two trochanters that can form the silhouette.
    """
    radius = femur.head_radius_mm
    step = STEP_MM * (0.6 if femur.growth_plates else 1.0)
    lower = np.array([-radius - 3.0, -1.35 * radius, -femur.lesser_drop_mm - 62.0 * radius / 21.9])
    upper = np.array([femur.shaft_offset_mm + 1.55 * radius, 1.25 * radius, radius + 3.0])
    x, y, z = axes(lower, upper, step)
    rng = np.random.default_rng(femur.noise_seed)
    shape = (len(x), len(y), len(z))
    rough, inner, part = _femur(x, y, z, _numbers(femur), noise(rng, shape, step, 8.0))
    inner[..., 0] *= np.exp(np.float32(femur.cortex_uneven) * noise(rng, shape, step, 9.0))
    np.minimum(inner[..., 0], np.float32(0.72 * femur.shaft_half_mm), out=inner[..., 0])  # a canal is always left
    uneven = femur.density_uneven
    inner[..., 1] *= np.exp(np.float32(uneven) * noise(rng, shape, step, 6.0) - np.float32(0.5 * uneven**2))
    distance = finish(rough, step)
    origin = (float(lower[0]), float(lower[1]), float(lower[2]))
    surface = {
        name: crossings(distance, part == code, np.array(origin), step)
        for name, code in (("greater", GREATER), ("lesser", LESSER))
    }
    return Grid(distance, inner, origin, step, femur.cortical_gcm3, 330.0, surface)


def _numbers(f: Femur) -> F64:
    """The numbers of a femur in the order the kernel reads them."""
    n = f.neck_axis
    return np.array([
        f.head_radius_mm, n[0], n[2], f.neck_length_mm, f.neck_half_mm, f.neck_ap_ratio, f.shaft_half_mm,
        f.shaft_ap_ratio,
        f.greater_scale, f.lesser_scale, math.radians(f.greater_tilt_deg), f.lesser_drop_mm,
        math.tan(math.radians(f.bow_deg)),
        f.head_cortex_mm, f.superior_cortex_mm, f.inferior_cortex_mm, f.calcar_mm, f.metaphysis_cortex_mm,
        f.shaft_cortex_mm,
        f.greater_cortex_mm, f.head_gcm3, f.compressive_gcm3, f.tensile_gcm3, f.neck_gcm3, f.ward_loss,
        f.trochanter_gcm3,
        f.canal_gcm3, f.surface_noise_mm, f.growth_plates,
        f.neck_offset_mm, f.head_flat, f.head_ap_ratio, f.cam_mm, f.osteophyte_mm, f.shaft_flare,
        f.greater_width, f.greater_rise_mm, f.greater_overhang_mm, math.radians(f.lesser_turn_deg), f.fossa_mm,
        f.lesser_reach, f.ridge_rise_mm,
    ])  # fmt: skip


@njit(cache=True, fastmath=True, inline="always")
def _ramp(v: float) -> float:
    """Logistic curve."""
    risen: float = 1.0 / (1.0 + np.exp(-min(max(v, -30.0), 30.0)))
    return risen


@njit(cache=True, fastmath=True, inline="always")
def _head(x: float, y: float, z: float, t: float, s: float, p: F64) -> float:
    """Not quite a sphere: flattened at the dome, with a bump (cam) and a collar of osteophytes at its margin."""
    radius, flat, ap, cam, collar = p[0], p[30], p[31], p[32], p[33]
    r = np.sqrt(x * x + (y / ap) ** 2 + z * z)
    sphere: float = r - radius
    if abs(sphere) > 0.5 * radius:
        return sphere
    dome = max((0.99 * z - 0.12 * x) / r, 0.0)
    bump = (t / radius - 0.74) ** 2 + (s / radius - 0.62) ** 2 + (y / radius - 0.25) ** 2
    margin = np.exp(-(((t - 0.45 * radius) / (0.13 * radius)) ** 2)) * (0.55 + 0.45 * abs(s) / radius)
    distance: float = sphere + radius * flat * dome**4 - cam * np.exp(-bump / 0.14) - collar * margin
    return distance


@njit(cache=True, fastmath=True, inline="always")
def _neck(t: float, s: float, y: float, length: float, half: float, ap: float) -> float:
    """Elliptic tube along the neck (t along, s up): both edges flare toward the shaft, the inferior one sooner and
    more."""
    down = max(t / length - 0.42, 0.0)
    top = max(t / length - 0.66, 0.0)
    head = min(max(0.34 - t / length, 0.0), 0.34)
    a = half * (1.0 + 1.9 * top * top + 0.6 * head) if s > 0 else half * (1.0 + 2.3 * down * down + 0.6 * head)
    b = half * ap * (1.0 + 0.55 * down * down + 0.5 * head)
    r = np.sqrt((s / a) ** 2 + (y / b) ** 2)
    slope = np.sqrt((b * s / a) ** 2 / (r * r + 1e-6) + (a * y / b) ** 2 / (r * r + 1e-6) + 1e-6)
    distance: float = (r - 1.0) * (a * b) / slope
    return distance


@njit(cache=True, fastmath=True, inline="always")
def _shaft(x: float, y: float, rise: float, half: float, ap: float, wide: float) -> float:
    """Elliptic cylinder around the shaft axis; rise = height above the lesser trochanter / head radius."""
    flare = wide * _ramp((rise - 0.35) * 4.0)
    a = half * (1.0 + (0.34 if x > 0 else 0.20) * flare)
    b = half * ap * (1.0 + 0.12 * flare)
    r: float = np.sqrt((x / a) ** 2 + (y / b) ** 2)
    return (r - 1.0) * min(a, b)


@njit(cache=True, fastmath=True, inline="always")
def _growth_plates(d: float, head: float, big: float, t: float, x: float, z: float, u: float, wide: float) -> float:
    """Cartilage shows as nothing: a small separate head nucleus, a rounded neck end, a gap below the greater
    trochanter; of an adolescent (`wide` well below 1) a line each."""
    nucleus = head + wide * (3.5 * u + 5.0 * max(0.75 - u, 0.0))
    neck_end = 8.5 * u - t + wide * (1.5 * u + 3.0 * np.exp(-t / (6.0 * u) * 0.5))
    rest = smooth_max(d, neck_end + 2.5 * wide, 3.0 * u * wide)
    plate = abs(0.62 * (x - 8.0 * u) + 0.78 * (z + 20.0 * u) + 0.12 * x) - 0.5 - 0.8 * wide
    tip = max(d, -(0.62 * (x - 8.0 * u) + 0.78 * (z + 20.0 * u))) if big < 4.0 else 9.0
    if big < 5.0 and x > -2.0 * u:
        rest = max(rest, -plate)
        if u < 0.55 and tip < 0.0:
            rest = 2.0
    return min(smooth_max(nucleus, t - (8.5 - 1.5 * wide) * u, 2.0 * u * wide), rest)


@njit(cache=True, fastmath=True, inline="always")
def _greater(x: float, y: float, z: float, u: float, p: F64) -> float:
    """Greater trochanter, x from the neck's end: the lateral mass, leaning medially, and the posterior ridge with its
    overhanging tip."""
    size, wide, ct, st = p[8], p[35], np.cos(p[10]), np.sin(p[10])
    gx, gz = x - 10.5 * u, z + 19.0 * u - p[36]
    mass = ellipsoid(
        ct * gx + st * gz, y + 2.0 * u, -st * gx + ct * gz, 12.5 * u * size * wide, 17.5 * u * size, 23.0 * u * size
    )
    hx, hz = x - 6.0 * u + p[37], z + 14.0 * u - p[36] - p[41]
    ridge = ellipsoid(
        0.92 * hx + 0.39 * hz, y + 11.0 * u, -0.39 * hx + 0.92 * hz, 8.5 * u * size, 8.0 * u, 16.5 * u * size
    )
    joined: float = smooth_min(mass, ridge, 6.0 * u)
    return joined


@njit(cache=True, fastmath=True, inline="always")
def _crest(x: float, y: float, z: float, u: float, axis_x: float, shaft: float, drop: float) -> float:
    """Intertrochanteric crest, from the posterior ridge to the lesser trochanter."""
    cz = min(max((z + 20.0 * u) / (20.0 * u - drop + 8.0 * u), 0.0), 1.0)
    cx = axis_x + 5.0 * u + cz * (-0.62 * shaft - 5.0 * u)
    cy = -12.0 * u + cz * (12.0 * u - 0.72 * shaft)
    czz = -20.0 * u + cz * (20.0 * u - drop + 8.0 * u)
    distance: float = np.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (z - czz) ** 2) - 5.5 * u
    return distance


@njit(cache=True, fastmath=True)
def _femur(xs: F64, ys: F64, zs: F64, p: F64, bumps: F32) -> tuple[F32, F32, NDArray[np.uint8]]:
    """Rough distance (nx, ny, nz), inner = (cortex mm, trabecular g/cm3), part code (uint8)."""
    shape = (len(xs), len(ys), len(zs))
    rough = np.empty(shape, np.float32)
    inner = np.empty((shape[0], shape[1], shape[2], 2), np.float32)
    part = np.zeros(shape, np.uint8)
    radius, nx, nz, length, half, ap, shaft, shaft_ap = p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]
    lesser, drop, bow = p[9], p[11], p[12]
    u = radius / 21.9
    base_z, axis_x = length * nz, length * nx
    farther = (p[40] - 1.037) * shaft  # a lesser trochanter that reaches far has a broad base
    around = 1.037 * shaft + 0.35 * farther  # of its center from the shaft axis
    medial, back = around * np.cos(p[38]), around * np.sin(p[38])
    wide, deep = 8.2 * u * lesser + 0.65 * farther * np.cos(p[38]), 7.6 * u * lesser + 0.65 * farther * np.sin(p[38])
    high, soft = 13.0 * u * lesser + 0.5 * farther, 6.0 * u + 0.5 * max(farther, 0.0)
    for i in range(shape[0]):
        for j in range(shape[1]):
            y = ys[j]
            for k in range(shape[2]):
                x, z = xs[i], zs[k]
                center = axis_x + bow * (base_z - z)
                t, s = x * nx + z * nz, -x * nz + z * nx
                head = _head(x, y, z, t, s, p)
                s -= p[29]
                neck = smooth_max(_neck(t, s, y, length, half, ap), t - length - 4.0 * u, 8.0 * u)
                neck = max(neck, 0.15 * radius - t)
                tube = _shaft(x - center, y, (z + drop) / radius, shaft, shaft_ap, p[34])
                tube = smooth_max(tube, 0.93 * z + 0.36 * (x - axis_x) + 0.62 * radius, 10.0 * u)
                big = _greater(x - axis_x, y, z, u, p)
                lx, lz = x - center + medial, z + drop
                small = ellipsoid(0.94 * lx + 0.34 * lz, y + back, -0.34 * lx + 0.94 * lz, wide, deep, high)
                crest = _crest(x, y, z, u, axis_x, shaft, drop)
                d = smooth_min(tube, neck, 9.0 * u)
                d = smooth_min(d, head, 4.0 * u)
                d = smooth_min(d, big, 7.0 * u)
                d = smooth_min(d, crest, 6.0 * u)
                d = smooth_min(d, small, soft)
                # trochanteric fossa
                pit = (x - axis_x + 3.0 * u) ** 2 + (y + 14.0 * u) ** 2 + 0.5 * (z + 12.0 * u - p[36]) ** 2
                d = smooth_max(d, p[39] - np.sqrt(pit), 4.0 * u) if p[39] > 0.0 else d
                if p[28] > 0.0:
                    bent = 0.25 * (1.0 - p[28]) * (s * s + y * y) / radius  # the head sits on the neck like a cap
                    d = _growth_plates(d, head, big, t - bent, x - axis_x, z, u, p[28])
                calm = (
                    0.5 + 0.5 * _ramp(head / 1.5) - 0.3 * _ramp((-z - drop) / (0.3 * radius))
                )  # head and shaft are smooth
                rough[i, j, k] = d + p[27] * calm * bumps[i, j, k]
                if big < 4.0 and t > 0.5 * length and x > axis_x - 9.0 * u and s > -0.3 * half:
                    part[i, j, k] = GREATER
                elif small < 4.0:
                    part[i, j, k] = LESSER
                if d > 5.0:  # nothing will be read here
                    inner[i, j, k, 0] = inner[i, j, k, 1] = 0.0
                    continue
                inner[i, j, k, 0] = _cortex(x - center, z, t, s, head, neck, tube, min(big, small), p)
                inner[i, j, k, 1] = _trabecular(x, z, t, s, head, p)
    return rough, inner, part


@njit(cache=True, fastmath=True, inline="always")
def _cortex(  # noqa: PLR0913
    x: float, z: float, t: float, s: float, head: float, neck: float, tube: float, lump: float, p: F64
) -> float:
    """Cortical thickness, blended over the parts by nearness."""
    radius, length, half, drop = p[0], p[3], p[4], p[11]
    w_head = np.exp(-max(head, -6.0) / 2.5) * (1.0 - _ramp((t - 0.62 * radius) / (0.09 * radius)))
    w_neck = np.exp(-max(neck, -6.0) / 3.0) * _ramp((t - 0.70 * radius) / (0.08 * radius))
    w_tube = np.exp(-max(tube, -6.0) / 3.0)
    w_big = np.exp(-max(lump, -6.0) / 3.0)
    side = _ramp(-s / half * 4.0)
    c_neck = p[14] + (p[15] - p[14]) * side
    low = _ramp((-z - drop + 0.1 * radius) / (0.42 * radius))
    c_tube = p[17] + (p[18] - p[17]) * low
    total = (w_head * p[13] + w_neck * c_neck + w_tube * c_tube + w_big * p[19]) / (
        w_head + w_neck + w_tube + w_big + 1e-9
    )
    total = total + (c_tube - total) * low * 0.8
    calcar = np.exp(-(((z + 0.80 * drop) / (0.55 * radius)) ** 2)) * _ramp(-(x / p[6] + 0.55) * 5.0)
    thickness: float = total + calcar * p[16] * _ramp((t - 0.5 * length) / 3.0)
    return thickness


@njit(cache=True, fastmath=True, inline="always")
def _trabecular(x: float, z: float, t: float, s: float, head: float, p: F64) -> float:
    """Trabecular density: head, compressive band, tensile arch, Ward's triangle, trochanter, canal."""
    radius, length, half, drop, axis_x = p[0], p[3], p[4], p[11], p[3] * p[1]
    w_head = _ramp((1.05 * radius - t) / (0.16 * radius)) * _ramp((2.0 - head) / 1.5)
    w_neck = _ramp((1.05 * length - t) / (0.10 * length))
    base = p[25] + (p[23] - p[25]) * w_neck
    base = base + (p[20] - base) * w_head
    # compressive: from the weight-bearing dome to the calcar
    bx, bz = axis_x - 0.75 * p[6], -0.84 * drop
    ax, az = -0.12 * radius, 0.85 * radius
    along = min(max(((x - ax) * (bx - ax) + (z - az) * (bz - az)) / ((bx - ax) ** 2 + (bz - az) ** 2), 0.0), 1.0)
    off = (x - ax - along * (bx - ax)) ** 2 + (z - az - along * (bz - az)) ** 2
    width = radius * (0.42 - 0.14 * along)
    band = np.exp(-off / (width * width))
    # tensile: an arch through the superior neck to the lateral cortex
    arch = 0.52 * half - (t - 0.55 * length) ** 2 * 0.22 / radius
    pull = np.exp(-(((s - arch) / (0.24 * radius)) ** 2)) * _ramp((1.75 * length - t) / 4.0)
    ward = np.exp(-(((t - 0.80 * length) / (0.24 * length)) ** 2) - ((s + 0.12 * half) / (0.50 * half)) ** 2)
    rho = (base + p[21] * band + p[22] * pull) * (1.0 - p[24] * ward)
    low = _ramp((-z - drop + 0.25 * radius) / (0.28 * radius))
    density: float = p[26] + (rho - p[26]) * (1.0 - low)
    return density
