"""What `calibration.json` says: intervals and cuts of the headline, for each precision of the BMD network."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SiteCalibration:
    """Interval of one site: estimate +- `scale` x predicted spread covers `coverage`; fitted on `n` hips."""

    scale: float
    coverage: float
    n: int


@dataclass(frozen=True, slots=True)
class HeadlineCuts:
    """Cuts of the headline on the lowest estimated T-score of a film; equal where there is no middle headline.

    At or below `low_suspected_t` BMD is suspected to be low, at or below `refer_for_dxa_t` the film cannot tell. Fitted
    on `cases` subjects with a DXA T-score of -2.5 or less at a hip and on `others` without.
    """

    low_suspected_t: float
    refer_for_dxa_t: float
    cases: int
    others: int


@dataclass(frozen=True, slots=True)
class PrecisionCalibration:
    """Calibration of one BMD model file, bound to it by hash; without cuts there is no headline."""

    model_sha256: str
    sites: dict[str, SiteCalibration]
    operating_points: HeadlineCuts | None


@dataclass(frozen=True, slots=True)
class CalibrationFile:
    """Everything `calibration.json` says; unknown or missing keys are refused."""

    schema: int
    precisions: dict[str, PrecisionCalibration]
