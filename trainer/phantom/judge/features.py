"""Hand-made features of a region, and ridge regression on them: what a film gives away without a network.

Used by `phantom check` only: gray level alone must say little about BMD, simple geometry and contrast features a fair
amount.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

Array = NDArray[np.float64]
Points = dict[str, tuple[float, float]]

ALPHAS = 10.0 ** np.arange(-1.0, 5.1, 0.5)
FOLDS = 5


def naive_gray(roi: Array, points: Points) -> float:
    """Mean displayed value in a 15 mm disc at the neck center of a region (256, 256) at 0.65 mm."""
    x, y = points["neck_center"]
    rows, cols = np.mgrid[0 : roi.shape[0], 0 : roi.shape[1]]
    return float(roi[np.hypot(cols + 0.5 - x, rows + 0.5 - y) < 11.5].mean())


def hand_features(roi: Array, points: Points) -> Array:
    """Profiles across neck, trochanter and shaft, and texture strength per region and scale; (n,), region as in
    `naive_gray`.

    The gray scale is first set by the region's own percentiles, so what counts is local contrast and shape.
    """
    low, high = np.percentile(roi, [5.0, 99.0])
    image = (roi - low) / max(high - low, 1e-3)
    p = {name: np.array(xy) for name, xy in points.items()}
    axis = p["neck_center"] - p["head_center"]
    shaft = p["shaft_proximal"] - p["lesser_trochanter"]
    shaft = np.array([0.0, 1.0]) if np.linalg.norm(shaft) < 1 else p["shaft_distal"] - p["shaft_proximal"]
    parts = [
        _profile(image, p["neck_center"], axis, 34.0, 48),
        _profile(image, p["shaft_proximal"], shaft, 30.0, 48),
        _profile(image, 0.5 * (p["greater_trochanter"] + p["lesser_trochanter"]), shaft, 45.0, 40),
    ]
    spots = ("head_center", "neck_center")
    texture = [_texture(image, p[name]) for name in spots] + [
        _texture(image, 0.5 * (p["neck_center"] + p["lesser_trochanter"]))
    ]
    sizes = [np.linalg.norm(axis), np.linalg.norm(p["head_center"] - p["lesser_trochanter"])]
    return np.concatenate([*parts, *texture, sizes])


def _profile(image: Array, center: Array, along: Array, half_mm: float, count: int) -> Array:
    """Mean profile across a direction (five lines 2 mm apart) and its contrast with its two ends."""
    unit = along / max(float(np.linalg.norm(along)), 1e-6)
    normal = np.array([-unit[1], unit[0]])
    reach = np.linspace(-half_mm, half_mm, count) / 0.65
    lines = [center + unit * shift / 0.65 + reach[:, None] * normal for shift in (-4.0, -2.0, 0.0, 2.0, 4.0)]
    values = [map_coordinates(image, [line[:, 1] - 0.5, line[:, 0] - 0.5], order=1, mode="nearest") for line in lines]
    profile = np.mean(values, axis=0)
    return np.concatenate([profile, np.sort(profile)[[2, count // 2, -3]]])


def _texture(image: Array, center: Array, half_px: int = 12) -> Array:
    x, y = (int(np.clip(v, half_px, 255 - half_px)) for v in center)
    patch = image[y - half_px : y + half_px, x - half_px : x + half_px]
    levels = [patch, *(gaussian_filter(patch, s) for s in (0.8, 1.6, 3.2, 6.4))]
    bands = [np.log(np.std(a - b) + 1e-4) for a, b in pairwise(levels)]
    return np.array([*bands, patch.mean(), patch.std()])


def ridge_r(features: Array, target: Array, seed: int = 0) -> float:
    """Pearson r of cross-validated ridge predictions (five folds; the penalty is chosen inside each training part)."""
    order = np.random.default_rng(seed).permutation(target.size)
    predicted = np.empty_like(target)
    for fold in np.array_split(order, FOLDS):
        rest = np.setdiff1d(order, fold)
        predicted[fold] = _ridge(features[rest], target[rest], features[fold])
    return float(np.corrcoef(predicted, target)[0, 1])


def _ridge(x: Array, y: Array, new: Array) -> Array:
    """Ridge on standardized features, the penalty by generalized cross-validation (Golub, Heath, Wahba 1979)."""
    mean, sd = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
    u, s, vt = np.linalg.svd((x - mean) / sd, full_matrices=False)
    along = u.T @ (y - y.mean())

    def gcv(alpha: float) -> float:
        shrink = s**2 / (s**2 + alpha)
        residual = (y - y.mean()) - u @ (shrink * along)
        return float(residual @ residual / (y.size - 1 - shrink.sum()) ** 2)

    alpha = min(ALPHAS, key=gcv)
    weights = vt.T @ (s / (s**2 + alpha) * along)
    return np.asarray((new - mean) / sd @ weights + y.mean())
