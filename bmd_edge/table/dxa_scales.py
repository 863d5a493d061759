"""DXA scales: areal BMD of one maker's scanner as another maker's would read it, through the standardized BMD.

Every line is sBMD = a + b x BMD, both in g/cm2: Lu et al., Osteoporos Int 2001;12:438-444 (femoral neck) and Hanson,
J Bone Miner Res 1997;12:1316-1317 (total hip), as quoted by public analyses.
"""

from bmd_edge.errors import UsageError
from bmd_edge.table.film_table import SCALES, HipRow

STANDARDIZED: dict[str, dict[str, tuple[float, float]]] = {
    "hologic": {"femoral_neck": (0.019, 1.087), "total_hip": (0.006, 1.008)},
    "lunar": {"femoral_neck": (-0.023, 0.939), "total_hip": (-0.031, 0.979)},
    "norland": {"femoral_neck": (0.006, 0.985), "total_hip": (0.026, 1.012)},
    "sbmd": {"femoral_neck": (0.0, 1.0), "total_hip": (0.0, 1.0)},
}
"""scale -> site -> (a, b)."""


def to_hologic(bmd_gcm2: float, site: str, scale: str) -> float:
    """Areal BMD in g/cm2 on the Hologic scale, from one on `scale` ("hologic", "lunar", "norland" or "sbmd").

    Raises:
        UsageError: an unknown scale; scales are never guessed.
    """
    if scale not in STANDARDIZED:
        raise UsageError(f"unknown DXA scale {scale!r}: name one of {', '.join(SCALES)}")
    if scale == "hologic":
        return bmd_gcm2
    (a, b), (offset, factor) = STANDARDIZED[scale][site], STANDARDIZED["hologic"][site]
    return (a + b * bmd_gcm2 - offset) / factor


def hologic_gcm2(row: HipRow) -> dict[str, float | None]:
    """DEXA of a row of a film table, site -> g/cm2 on the Hologic scale, None where the hip has no label.

    Raises:
        UsageError: as `to_hologic`.
    """
    found = row.bmd_gcm2.items()
    return {site: None if value is None else to_hologic(value, site, row.scale or "") for site, value in found}
