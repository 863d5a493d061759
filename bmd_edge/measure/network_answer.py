"""What a run keeps of a hip to watch drift and to recalibrate: the network's own answer, and figures of its input."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class NetworkAnswer:
    """What the BMD network itself said of a hip, before any recalibration; kept for `bmd-edge drift` and `calibrate`.

    `bmd_gcm2` and `spread_gcm2` by site in the order of `bmd_edge.sites.SITES`, each the mean over the scales that the
    hip was measured at; `embedding` as the bundle has it;
    `gray` are `bmd_edge.measure.network_answer.gray_statistics` of its input.
    """

    bmd_gcm2: tuple[float, ...]
    spread_gcm2: tuple[float, ...]
    embedding: tuple[float, ...]
    gray: tuple[float, ...]


def gray_statistics(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Seven figures of a network input that show how a film was processed, more than what is on it.

    Args:
        image: (1, size_px, size_px), 0..1, from `normalize`.

    Returns:
        (7,): mean, SD and skewness of the gray levels; log of the SD in four bands, each what a block mean of 2 x 2
        pixels loses of the image, at full, half, quarter and eighth size. A uniform image gives the log of 1e-4.
    """
    level = image[0].astype(np.float64)
    level = level[: level.shape[0] // 16 * 16, : level.shape[1] // 16 * 16]
    mean, sd = level.mean(), max(float(level.std()), 1e-4)
    figures = [mean, sd, np.mean((level - mean) ** 3) / sd**3]
    for _ in range(4):
        rows, columns = level.shape
        coarse = level.reshape(rows // 2, 2, columns // 2, 2).mean((1, 3))
        figures.append(np.log(max(float((level - coarse.repeat(2, 0).repeat(2, 1)).std()), 1e-4)))
        level = coarse
    return np.array(figures)
