"""Signed-distance grids: what a bone is to the ray march, and the tools that make them well behaved.

A grid holds the distance to the surface (negative inside), the local cortical thickness and the trabecular mineral
density. Shapes are written as rough implicit functions; `finish` turns them into true distances: near the surface the
value is divided by its gradient (an ellipsoid's is not 1), everywhere else the eikonal equation is solved by fast
sweeping (Zhao, Math. Comp. 74, 2005). Smooth unions would otherwise leave a false inner surface: a bright seam that
thickens with the cortex.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

CORTICAL_GCM3 = 1.07
BAND = 2.4  # steps from the surface within which value / |gradient| is taken, where the gradient is near 1
HELD_MM = 12.0


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """distance_mm float32 (nx, ny, nz); inner float32 (nx, ny, nz, 2) = cortical thickness mm, trabecular g/cm3 HA.

    origin_mm is the center of voxel (0, 0, 0) in the bone's frame; step_mm the pitch. extend_down_mm: below its last
    slice the bone goes on as a prism. surface_mm: named sets of points (n, 3) lying on the surface, for silhouette
    landmarks.
    """

    distance_mm: F32
    inner: F32
    origin_mm: tuple[float, float, float]
    step_mm: float
    cortical_gcm3: float = CORTICAL_GCM3
    extend_down_mm: float = 0.0
    surface_mm: dict[str, F64] = field(default_factory=dict)

    @property
    def cortex_mm(self) -> F32:
        """Local cortical thickness, mm (a view)."""
        return self.inner[..., 0]

    @property
    def trabecular_gcm3(self) -> F32:
        """Trabecular mineral density, g/cm3 HA (a view)."""
        return self.inner[..., 1]

    def bounds_mm(self) -> tuple[F64, F64]:
        """Lower and upper corner of the box that holds the bone, the extension included."""
        lower = np.array(self.origin_mm)
        upper = lower + self.step_mm * (np.array(self.distance_mm.shape) - 1)
        lower[2] -= self.extend_down_mm
        return lower, upper


def axes(lower: F64, upper: F64, step_mm: float) -> tuple[F64, F64, F64]:
    """Voxel centers along x, y, z of a box."""
    x, y, z = (
        low + step_mm * np.arange(int(np.ceil((high - low) / step_mm)) + 1)
        for low, high in zip(lower, upper, strict=True)
    )
    return x, y, z


@lru_cache(maxsize=32)
def _spline(n: int, step_mm: float, cell_mm: float) -> F32:
    """(n, m) weights of the uniform cubic B-spline from a lattice of cell_mm to n voxels of step_mm."""
    position = np.arange(n) * step_mm / cell_mm
    weights = np.zeros((n, int(position[-1]) + 4), np.float32)
    base = position.astype(int)
    f = position - base
    for tap, w in enumerate(((1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3)):
        weights[np.arange(n), base + tap] = w / 6
    return weights


def noise(rng: np.random.Generator, shape: tuple[int, int, int], step_mm: float, cell_mm: float) -> F32:
    """Smooth random field float32 of a shape, mean 0, SD about 1, correlated over about 1.5 cell_mm."""
    wx, wy, wz = (_spline(n, step_mm, cell_mm) for n in shape)
    lattice = rng.standard_normal((wx.shape[1], wy.shape[1], wz.shape[1]), dtype=np.float32)
    field_ = np.tensordot(lattice, wz.T, 1)  # (mx, my, nz)
    field_ = np.einsum("ym,xmz->xyz", wy, field_, optimize=True)
    field_ = (wx @ field_.reshape(field_.shape[0], -1)).reshape(shape)
    # one B-spline axis keeps .479 of the variance: .479**-1.5
    smooth: F32 = np.ascontiguousarray(field_ * np.float32(2.96))
    return smooth


def finish(rough: F32, step_mm: float) -> F32:
    """True signed distance (mm) of the zero surface of a rough implicit function sampled at step_mm.

    It is held at +-12 mm where the rough value is beyond 14 mm: nothing needs it there, and it is half of the time.
    """
    exact, known = _near_surface(rough, np.float32(step_mm))
    exact /= np.float32(step_mm)
    _sweep(exact, known)
    exact *= np.float32(step_mm)
    return np.where(rough < 0, -exact, exact)


@njit(cache=True, fastmath=True, inline="always")
def _reach(rough: F32, i: int, j: int, k: int) -> int:
    """Steps (1 to 3) along an axis to a voxel on the other side of the surface; 9 where there is none."""
    nx, ny, nz = rough.shape
    inside = rough[i, j, k] < 0
    for n in range(1, 4):
        if (
            ((rough[max(i - n, 0), j, k] < 0) != inside) or ((rough[min(i + n, nx - 1), j, k] < 0) != inside)
            or ((rough[i, max(j - n, 0), k] < 0) != inside) or ((rough[i, min(j + n, ny - 1), k] < 0) != inside)
            or ((rough[i, j, max(k - n, 0)] < 0) != inside) or ((rough[i, j, min(k + n, nz - 1)] < 0) != inside)
        ):  # fmt: skip
            return n
    return 9


@njit(cache=True, fastmath=True)
def _near_surface(rough: F32, step: np.float32) -> tuple[F32, NDArray[np.bool_]]:
    """Absolute distance of the voxels near the surface (first order: value / |gradient|) and which they are.

    Only voxels with the surface in sight count: a shape's formula may have small values deep inside a union.
    """
    nx, ny, nz = rough.shape
    distance = np.full(rough.shape, HELD_MM, np.float32)
    known = np.zeros(rough.shape, np.bool_)
    for i in range(nx):
        i0, i1 = max(i - 1, 0), min(i + 1, nx - 1)
        for j in range(ny):
            j0, j1 = max(j - 1, 0), min(j + 1, ny - 1)
            for k in range(nz):
                f = abs(rough[i, j, k])
                if f > 4.0 * step:
                    known[i, j, k] = f > HELD_MM + 2.0
                    continue
                near = _reach(rough, i, j, k)
                if near > 3:
                    continue
                k0, k1 = max(k - 1, 0), min(k + 1, nz - 1)
                gx = (rough[i1, j, k] - rough[i0, j, k]) / (max(i1 - i0, 1) * step)
                gy = (rough[i, j1, k] - rough[i, j0, k]) / (max(j1 - j0, 1) * step)
                gz = (rough[i, j, k1] - rough[i, j, k0]) / (max(k1 - k0, 1) * step)
                slope = np.sqrt(gx * gx + gy * gy + gz * gz)
                d = f / max(slope, np.float32(0.2))
                if near == 1 or (0.8 < slope < 1.5 and d < BAND * step):
                    distance[i, j, k] = min(d, step) if near == 1 else d
                    known[i, j, k] = True
    return distance, known


@njit(cache=True, fastmath=True, inline="always")
def _upwind(p1: float, p2: float, m1: float, m2: float) -> tuple[float, float]:
    """Value and weight (h = 1) of one axis: second order where the two neighbors of the nearer side allow it."""
    a, b = (p1, p2) if p1 < m1 else (m1, m2)
    return ((4.0 * a - b) / 3.0, 2.25) if b < a else (a, 1.0)


@njit(cache=True, fastmath=True, inline="always")
def _solve(a: float, wa: float, b: float, wb: float, c: float, wc: float) -> float:
    """d with sum of w (d - v)^2 = 1 over the axes that lie upwind (v < d); unit step."""
    if a > b:
        a, wa, b, wb = b, wb, a, wa
    if b > c:
        b, wb, c, wc = c, wc, b, wb
    if a > b:
        a, wa, b, wb = b, wb, a, wa
    d: float = a + 1.0 / np.sqrt(wa)
    if d > b:
        s0, s1, s2 = wa + wb, wa * a + wb * b, wa * a * a + wb * b * b - 1.0
        d = (s1 + np.sqrt(max(s1 * s1 - s0 * s2, 0.0))) / s0
        if d > c:
            s0, s1, s2 = s0 + wc, s1 + wc * c, s2 + wc * c * c
            d = (s1 + np.sqrt(max(s1 * s1 - s0 * s2, 0.0))) / s0
    return d


@njit(cache=True, fastmath=True)
def _sweep(distance: F32, known: NDArray[np.bool_]) -> None:
    """Eight Gauss-Seidel sweeps in alternating directions, in place; unit step."""
    nx, ny, nz = distance.shape
    for direction in range(8):
        sx, sy, sz = direction & 1, (direction >> 1) & 1, (direction >> 2) & 1
        for ii in range(nx):
            i = ii if sx == 0 else nx - 1 - ii
            i1, i2, i3, i4 = min(i + 1, nx - 1), min(i + 2, nx - 1), max(i - 1, 0), max(i - 2, 0)
            for jj in range(ny):
                j = jj if sy == 0 else ny - 1 - jj
                j1, j2, j3, j4 = min(j + 1, ny - 1), min(j + 2, ny - 1), max(j - 1, 0), max(j - 2, 0)
                for kk in range(nz):
                    k = kk if sz == 0 else nz - 1 - kk
                    if known[i, j, k]:
                        continue
                    k1, k2, k3, k4 = min(k + 1, nz - 1), min(k + 2, nz - 1), max(k - 1, 0), max(k - 2, 0)
                    a, wa = _upwind(distance[i1, j, k], distance[i2, j, k], distance[i3, j, k], distance[i4, j, k])
                    b, wb = _upwind(distance[i, j1, k], distance[i, j2, k], distance[i, j3, k], distance[i, j4, k])
                    c, wc = _upwind(distance[i, j, k1], distance[i, j, k2], distance[i, j, k3], distance[i, j, k4])
                    d = _solve(a, wa, b, wb, c, wc)
                    if d < distance[i, j, k]:
                        distance[i, j, k] = d


@njit(cache=True, fastmath=True)
def crossings(distance: F32, chosen: NDArray[np.bool_], origin: F64, step: float) -> F64:
    """Points (n, 3) where the surface cuts the grid's edges, where chosen (bool, same shape) holds at both ends."""
    nx, ny, nz = distance.shape
    points = np.empty((3 * int(chosen.sum()) + 1, 3))
    n = 0
    for i in range(nx - 1):
        for j in range(ny - 1):
            for k in range(nz - 1):
                if not chosen[i, j, k]:
                    continue
                for axis in range(3):
                    a, b, c = i + (axis == 0), j + (axis == 1), k + (axis == 2)
                    f, g = distance[i, j, k], distance[a, b, c]
                    if chosen[a, b, c] and (f < 0) != (g < 0):
                        s = f / (f - g)
                        points[n, 0] = origin[0] + step * (i + s * (a - i))
                        points[n, 1] = origin[1] + step * (j + s * (b - j))
                        points[n, 2] = origin[2] + step * (k + s * (c - k))
                        n += 1
    return points[:n].copy()


@njit(cache=True, fastmath=True, inline="always")
def smooth_min(a: float, b: float, k: float) -> float:
    """Polynomial smooth union of two distances over a blend width k mm."""
    h = max(k - abs(a - b), 0.0) / k
    return min(a, b) - h * h * k * 0.25


@njit(cache=True, fastmath=True, inline="always")
def smooth_max(a: float, b: float, k: float) -> float:
    """Polynomial smooth intersection of two distances over a blend width k mm."""
    h = max(k - abs(a - b), 0.0) / k
    return max(a, b) + h * h * k * 0.25


@njit(cache=True, fastmath=True, inline="always")
def ellipsoid(x: float, y: float, z: float, a: float, b: float, c: float) -> float:
    """Distance to an axis-aligned ellipsoid of half axes a, b, c; first-order exact at the surface (f |p| / |grad|)."""
    p = np.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
    q = np.sqrt((x / (a * a)) ** 2 + (y / (b * b)) ** 2 + (z / (c * c)) ** 2)
    return p * (p - 1.0) / max(q, 1e-6) if p > 1e-6 else -min(a, min(b, c))


@njit(cache=True, fastmath=True, inline="always")
def capsule(x: float, y: float, z: float, p: F64, q: F64, r0: float, r1: float) -> float:
    """Distance to a capsule between two points whose radius runs from r0 to r1."""
    ax, ay, az = q[0] - p[0], q[1] - p[1], q[2] - p[2]
    px, py, pz = x - p[0], y - p[1], z - p[2]
    s = min(max((px * ax + py * ay + pz * az) / (ax * ax + ay * ay + az * az + 1e-9), 0.0), 1.0)
    radius = r0 + s * (r1 - r0)
    distance: float = np.sqrt((px - s * ax) ** 2 + (py - s * ay) ** 2 + (pz - s * az) ** 2) - radius
    return distance
