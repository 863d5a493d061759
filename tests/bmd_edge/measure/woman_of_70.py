"""Estimates of a woman of 70, by a calibration in round numbers."""

from bmd_edge.bundle.calibration import PrecisionCalibration, SiteCalibration
from bmd_edge.measure.estimate import Estimate, estimates

CALIBRATION = PrecisionCalibration(
    "0" * 64, {"femoral_neck": SiteCalibration(2.0, 0.9, 500), "total_hip": SiteCalibration(1.5, 0.9, 500)}, None
)


def woman_of_70(neck: float, hip: float = 0.8, spread: float = 0.03) -> tuple[Estimate, ...]:
    return estimates((neck, hip), (spread, spread), CALIBRATION, 70.0, "F")
