"""The display shutter of a film (PS3.3 C.7.6.11): what lies under it is no image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmd_edge.dicom.header import Header

Points = NDArray[np.float64]
_SHAPE, _EDGES = 0x00181600, (0x00181602, 0x00181604, 0x00181606, 0x00181608)  # left, right, upper, lower
_CENTER, _RADIUS, _VERTICES = 0x00181610, 0x00181612, 0x00181620


@dataclass(frozen=True, slots=True)
class Shutter:
    """The openings of a shutter; what lies outside one of them is hidden. In pixels of the file, corner at (0, 0).

    box: (left, right, top, bottom). circle: (x, y, radius). polygon: its corners (x, y).
    """

    box: tuple[float, float, float, float] | None = None
    circle: tuple[float, float, float] | None = None
    polygon: tuple[tuple[float, float], ...] | None = None

    def hides(
        self, left_px: float, top_px: float, width_px: float, height_px: float, shape: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """Which of the `shape` (rows, columns) pixels that sample a box reach under the shutter."""
        x = left_px + width_px * np.arange(shape[1] + 1) / shape[1]
        y = (top_px + height_px * np.arange(shape[0] + 1) / shape[0])[:, None]
        hidden = np.zeros((shape[0] + 1, shape[1] + 1), bool)
        if self.box:
            left, right, top, bottom = self.box
            hidden |= (x < left) | (x > right) | (y < top) | (y > bottom)
        if self.circle:
            hidden |= np.hypot(x - self.circle[0], y - self.circle[1]) > self.circle[2]
        if self.polygon:
            hidden |= ~_inside(x, y, self.polygon)
        return np.asarray(hidden[:-1, :-1] | hidden[:-1, 1:] | hidden[1:, :-1] | hidden[1:, 1:])


def _inside(x: Points, y: Points, corners: tuple[tuple[float, float], ...]) -> NDArray[np.bool_]:
    """Whether a line from a point to the right crosses the outline an odd number of times."""
    inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), bool)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        if ay != by:
            inside ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) * (bx - ax) / (by - ay))
    return inside


def read_shutter(header: Header) -> Shutter | None:
    """The shutter that a header states; None where there is none, or a malformed one, which is counted.

    Rows and columns are counted from 1 and belong to the opening; the corner of the first pixel is (0, 0) here.
    """
    shapes = set(header.texts(_SHAPE)) - {""}
    if not shapes:
        return None
    box = circle = polygon = None
    if "RECTANGULAR" in shapes:
        left, right, top, bottom = (header.decimal(tag) for tag in _EDGES)
        if left is not None and right is not None and top is not None and bottom is not None:
            box = (left - 1, right, top - 1, bottom)
    if "CIRCULAR" in shapes:
        center, radius = header.decimals(_CENTER) or [], header.decimal(_RADIUS)
        if len(center) == 2 and radius:
            circle = (center[1] - 0.5, center[0] - 0.5, radius)
    if "POLYGONAL" in shapes:
        numbers = header.decimals(_VERTICES) or []
        if len(numbers) >= 6 and len(numbers) % 2 == 0:
            polygon = tuple((x - 0.5, y - 0.5) for y, x in zip(numbers[::2], numbers[1::2], strict=True))
    if not (box or circle or polygon):
        header.note()
        return None
    return Shutter(box, circle, polygon)
