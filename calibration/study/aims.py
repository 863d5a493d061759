"""What a study is to show, as it is written on the command line: one figure, one number."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from bmd_edge.errors import UsageError, none_of
from bmd_edge.sites import SITES, misnamed

FORMS = {
    "bias_gcm2": "bias_gcm2<=0.02",
    "rmse_gcm2": "rmse_gcm2<=0.07",
    "loa_gcm2": "loa_gcm2=+-0.02",
    "coverage": "coverage=0.85..1",
    "sensitivity": "sensitivity=0.90+-0.08",
    "specificity": "specificity=0.90+-0.05",
    "at_least": "sensitivity>=0.95-0.10",
    "auroc": "auroc>=age-0.05",
    "int8_rmse_change": "int8_rmse_change<=0.02",
}
"""Every kind of aim, with an example of how it is written."""

COMPARATORS = ("age", "ost")
"""What an AUROC is compared with on the same subjects; OST is 0.2 x (kg - years) (Koh, Osteoporos Int 2001;12:699)."""

COMPARATOR_NAMES = {"age": "age", "ost": "OST"}

MIN_OF_A_KIND = 10
"""Subjects with, and without, low BMD below which an AUROC is not compared: a bootstrap of so few says too little."""

OF_SUBJECTS = ("sensitivity", "specificity", "auroc")
"""Figures by film, one film of a subject; the others are of hips and have a site."""

_FIGURES = tuple(name for name in FORMS if name != "at_least")
_SITE = r"(?:(?P<site>\w+)\.)?"
_NUMBER = r"(\d*\.?\d+)"
_LEAST = 0.0001  # margins and shares are told to so much
_PATTERNS = (
    re.compile(rf"{_SITE}(?P<figure>bias_gcm2|rmse_gcm2|int8_rmse_change)<=(?P<margin>{_NUMBER})"),
    re.compile(rf"{_SITE}(?P<figure>loa_gcm2)=\+-(?P<margin>{_NUMBER})"),
    re.compile(rf"{_SITE}(?P<figure>coverage)=(?P<least>{_NUMBER})\.\.(?P<most>{_NUMBER})"),
    re.compile(rf"(?P<figure>sensitivity|specificity)=(?P<expected>{_NUMBER})\+-(?P<margin>{_NUMBER})"),
    re.compile(rf"(?P<figure>sensitivity|specificity)(?P<floor>>=)(?P<expected>{_NUMBER})-(?P<margin>{_NUMBER})"),
    re.compile(rf"(?P<figure>auroc)>=(?P<against>{'|'.join(COMPARATORS)})-(?P<margin>{_NUMBER})"),
)


@dataclass(frozen=True, slots=True)
class Aim:
    """One aim. `margin` is what the figure must keep: g/cm2, a share, or the half-width of a 95 % interval.

    bias, RMSE and the change by INT8: the whole interval keeps it. Coverage: the whole interval lies from `least` to
    `most`, `margin` to both sides of `expected`. Limits of agreement, sensitivity, specificity: the interval is at most
    so wide, to both sides together twice the margin; only these are written with +-. With `floor` the whole interval
    of sensitivity or specificity lies at `least` or above. AUROC: not below that of `against`
    by more, on `MIN_OF_A_KIND` of each kind. `site` is None for a figure by film.
    """

    figure: str
    margin: float
    expected: float | None = None
    against: str | None = None
    site: str | None = None
    floor: bool = False

    @property
    def half_width(self) -> bool:
        """Whether it is about how well the figure is known, whatever the figure is."""
        return self.figure in ("loa_gcm2", "sensitivity", "specificity") and not self.floor

    @property
    def least(self) -> float:
        """The lower end of the range that coverage must keep, and the floor."""
        return round((self.expected or 0.0) - self.margin, 6)

    @property
    def most(self) -> float:
        """Its upper end."""
        return round((self.expected or 0.0) + self.margin, 6)

    @property
    def text(self) -> str:
        """As it is written on the command line; `aims` reads it back equal."""
        site = f"{self.site}." if self.site else ""
        if self.floor:
            return f"{self.figure}>={self.expected:g}-{self.margin:g}"
        if self.figure == "auroc":
            return f"auroc>={self.against}-{self.margin:g}"
        if self.figure == "loa_gcm2":
            return f"{site}loa_gcm2=+-{self.margin:g}"
        if self.figure == "coverage":
            return f"{site}coverage={self.least:g}..{self.most:g}"
        middle = "<=" if self.expected is None else f"={self.expected:g}+-"
        return f"{site}{self.figure}{middle}{self.margin:g}"


def aims(text: str) -> list[Aim]:
    """Aims from `rmse_gcm2<=0.07` and the like, one for each site where none is named; UsageError says the forms."""
    plain = text.replace(" ", "").replace("±", "+-").replace("≤", "<=").replace("≥", ">=")
    found = next(filter(None, (one.fullmatch(plain) for one in _PATTERNS)), None)
    parts = found.groupdict() if found else {}
    site = parts.get("site")
    given = {name: float(parts[name]) for name in ("expected", "margin", "least", "most") if parts.get(name)}
    if not found or site not in (None, *SITES):
        form = (
            f"write one of {', '.join(FORMS.values())}; of one site SITE.FIGURE, sites are {', '.join(SITES)}; AUROC is"
            f" compared with {' or '.join(COMPARATORS)}"
        )
        raise UsageError(f"--aim {text}: {_misnamed(plain)}{form}")
    expected, margin = given.get("expected"), given.get("margin", 0.0)
    if "most" in given:  # coverage
        expected = round((given["least"] + given["most"]) / 2, 6)
        margin = round((given["most"] - given["least"]) / 2, 6)
    one = Aim(parts["figure"], margin, expected, parts.get("against"), site, bool(parts.get("floor")))
    inside = 0 < one.least <= one.most <= 1 if "most" in given else expected is None or 0 < expected < 1
    inside = inside and (one.least > 0 or not one.floor)
    if not inside or not _LEAST <= margin < 1 or any(round(x, 4) != x for x in given.values()):
        raise UsageError(
            f"--aim {text}: numbers are g/cm2 (mg/cm2 divided by 1000) or shares of 1 (percent divided by 100), with a"
            f" margin from {_LEAST:.4f} to below 1 and four decimals at most; what is expected lies within 0 and 1, as"
            " does the range of coverage, its lower end first"
        )
    return [one] if one.figure in OF_SUBJECTS or site else [replace(one, site=name) for name in SITES]


def _misnamed(text: str) -> str:
    """As `misnamed`, of what an AUROC is compared with too."""
    against = re.match(r"auroc>=(\w+)-", text)
    if against and against[1] not in COMPARATORS:
        return f"{none_of(against[1], COMPARATORS)}; "
    return misnamed(text, _FIGURES)


def check_aims(wanted: Iterable[Aim], *, headline: bool, int8: bool) -> None:
    """Raise UsageError for an aim at what the bundle does not have: a headline with its cuts, INT8 networks."""
    for one in wanted:
        if one.figure in ("sensitivity", "specificity") and not headline:
            raise UsageError(f"--aim {one.text}: this bundle gives no headline, so no {one.figure}: leave the aim out")
        if one.figure == "int8_rmse_change" and not int8:
            raise UsageError(f"--aim {one.text}: this bundle has no INT8 networks: leave the aim out")
