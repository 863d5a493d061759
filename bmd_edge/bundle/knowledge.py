"""What a BMD network knows beyond what is known without its film, on films that it has not learned from.

The figures of one site travel in the bundle's manifest (`SiteKnowledge`); `not_shown` judges them wherever a bundle is
opened. A bundle made before they were measured has none: nothing is said of it, and nothing withheld.
"""

from collections.abc import Iterator
from dataclasses import dataclass

MOST = 0.95
"""Of a baseline's RMSE. A straight or a quadratic line misses a little of what age says: so much is no knowledge."""


@dataclass(frozen=True, slots=True)
class RmseAgainst:
    """RMSE of the estimates, that of a baseline on the same hips, both against DEXA in g/cm2, and their ratio.

    `low`..`high` is the ratio's 95 % interval, paired, by subject; None where the subjects are too few for one.
    `knows` names what the baseline predicts DEXA from; nothing for the mean.
    """

    knows: tuple[str, ...]
    hips: int
    subjects: int
    rmse_gcm2: float
    baseline_rmse_gcm2: float
    ratio: float
    low: float | None
    high: float | None

    @property
    def shown(self) -> bool:
        """Whether the estimates are better than the baseline: the whole interval of the ratio lies below `MOST`."""
        return self.high is not None and self.high < MOST

    def sentence(self) -> str:
        """The figures in words."""
        *others, last = self.knows or ("the mean of the other subjects",)
        ends = "no interval" if self.low is None or self.high is None else f"{self.low:.2f} to {self.high:.2f}"
        return (
            f"RMSE {self.rmse_gcm2:.3f} g/cm2 against {self.baseline_rmse_gcm2:.3f} of"
            f" {', '.join(others)}{' and ' if others else ''}{last}, ratio {self.ratio:.2f} ({ends}),"
            f" {self.hips} hips of {self.subjects} subjects"
        )


@dataclass(frozen=True, slots=True)
class SiteKnowledge:
    """Estimates of one site against the mean, and against what the table knows of the person; None if nothing."""

    mean: RmseAgainst
    person: RmseAgainst | None

    def not_shown(self) -> Iterator[tuple[str, RmseAgainst]]:
        """Code and figures of each baseline that the estimates are not shown to be better than."""
        for code, one in (("no_better_than_mean", self.mean), ("no_better_than_person", self.person)):
            if one is not None and not one.shown:
                yield code, one


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Precision -> site -> figures; `unproven` is the reason for which a bundle was made although they show little."""

    precisions: dict[str, dict[str, SiteKnowledge]]
    unproven: str | None

    def shown(self, precision: str) -> bool:
        """Whether every site of a precision is better than its baselines: without it there are no T-scores."""
        return not any(True for site in self.precisions[precision].values() for _ in site.not_shown())

    def sentences(self) -> Iterator[str]:
        """The figures of every precision and site, a sentence for each baseline."""
        for precision, sites in self.precisions.items():
            for site, known in sites.items():
                for one in filter(None, (known.mean, known.person)):
                    yield f"{site.replace('_', ' ')}, {precision}: {one.sentence()}"
