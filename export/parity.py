"""What quantization does to the numbers: the shift of every estimate against fp32, in g/cm2, against a budget."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bmd_edge.manifest import GuardLimits, GuardSite

LIMITS = GuardLimits(mean_shift_gcm2=0.002, p99_shift_gcm2=0.010)
"""A tenth of the least significant change of DXA for the mean, half of it for the worst hip in a hundred."""


@dataclass(frozen=True, slots=True)
class Parity:
    """Shift of one precision's estimates against fp32, site by site."""

    precision: str
    sites: dict[str, GuardSite]

    @property
    def passed(self) -> bool:
        """Whether every site stays inside the budget."""
        return all(site.passed for site in self.sites.values())

    def sentences(self) -> list[str]:
        """One sentence per site, for people."""
        return [
            f"{self.precision} {name}: mean shift {site.mean_shift_gcm2:+.4f} (limit {site.limits.mean_shift_gcm2}), "
            f"99th percentile {site.p99_shift_gcm2:.4f} (limit {site.limits.p99_shift_gcm2}), largest "
            f"{site.max_shift_gcm2:.4f} g/cm2, n = {site.n}: {'passed' if site.passed else 'FAILED'}"
            for name, site in self.sites.items()
        ]

    def save(self, path: Path) -> None:
        """Write the report as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def compare(
    fp32_gcm2: NDArray[np.floating],
    other_gcm2: NDArray[np.floating],
    sites: Sequence[str],
    precision: str = "int8",
    limits: GuardLimits = LIMITS,
) -> Parity:
    """Compare estimates of the same hips, (n, sites) each, g/cm2. Raises ValueError for unequal shapes or no hips."""
    if fp32_gcm2.shape != other_gcm2.shape or fp32_gcm2.shape[1:] != (len(sites),) or len(fp32_gcm2) == 0:
        raise ValueError(f"cannot compare {fp32_gcm2.shape} with {other_gcm2.shape} for {len(sites)} sites")
    shift = np.asarray(other_gcm2, np.float64) - np.asarray(fp32_gcm2, np.float64)
    return Parity(precision, {site: _site(shift[:, column], limits) for column, site in enumerate(sites)})


def _site(shift: NDArray[np.float64], limits: GuardLimits) -> GuardSite:
    mean = float(shift.mean())
    p95, p99, largest = (float(np.quantile(np.abs(shift), share)) for share in (0.95, 0.99, 1.0))
    return GuardSite(
        n=len(shift),
        passed=abs(mean) <= limits.mean_shift_gcm2 and p99 <= limits.p99_shift_gcm2,
        limits=limits,
        mean_shift_gcm2=mean,
        p95_shift_gcm2=p95,
        p99_shift_gcm2=p99,
        max_shift_gcm2=largest,
    )
