"""What a plan takes for granted of the bundle's errors and the clinic's subjects, and where it is from.

The bundle's own error model: DEXA is its estimate plus an error that does not depend on the estimate (the estimate
shrinks towards the mean). How large the error is, and how often the interval holds it, the bundle states of hips that
it has not learned from. Those of the embedded bundle differ far more than people's: on ordinary films its validation
has measured smaller errors, and intervals that hold more. A former validation of films of the clinic knows better.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scipy import stats

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.errors import UsageError
from bmd_edge.measure.t_score import OSTEOPOROSIS_T
from bmd_edge.sites import SITES, misnamed
from bmd_edge.system.own_files import mistaken
from calibration.pairs.table_checks import MIN_SUBJECTS

COMPARATOR_R = {"age": 0.3, "ost": 0.45}
"""Correlation with DEXA, by its size. Age: 0.0046 g/cm2 a year and an SD of 0.148 among subjects of an age SD of 10
years (Taiwan, Hologic, means of three age groups). OST: what an AUROC of about 0.78 for T <= -2.5 comes to."""

PREVALENCE = 0.2

GUESSED = ("bmd_sd_gcm2", "hips", "hip_r", "left_out", "prevalence", "r_age", "r_ost")
"""What no bundle knows: it is of the subjects."""

_SYNTHETIC = "Synthetic"  # so begin the makers of the phantom's films

VALIDATION = Path(__file__).parents[1] / "results" / "validation.json"
"""The validation of the bundle that this package comes with, on ordinary films of the phantom."""

BOUNDS = {
    "rmse_gcm2": (0.001, 0.999),
    "bias_gcm2": (-0.5, 0.5),
    "int8_sd_gcm2": (0.0, 0.5),
    "bmd_sd_gcm2": (0.01, 0.999),
    "hips": (1.0, 2.0),
    "hip_r": (0.0, 0.999),
    "left_out": (0.0, 0.95),
    "prevalence": (0.0001, 0.9999),
    "coverage": (0.01, 1.0),
    "r_age": (0.0, 0.999),
    "r_ost": (0.0, 0.999),
}
"""Between which values each number can be assumed: g/cm2, shares of 1, correlations, hips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """Numbers that sizes rest on. SDs in g/cm2; `hips` is the mean number of hips with both numbers per subject (1 to
    2), `hip_r` the correlation of the errors of a subject's two hips, `left_out` the share of subjects without a number
    (refused, or no DEXA in time), `prevalence` that of a DXA T-score of -2.5 or less.

    `rmse_gcm2` and `bias_gcm2` by site; `int8_sd_gcm2` is the SD of INT8 minus fp32 at one hip. `guessed` names what
    is neither measured nor given.
    """

    rmse_gcm2: dict[str, float]
    bias_gcm2: dict[str, float]
    int8_sd_gcm2: float
    bmd_sd_gcm2: float = 0.148
    hips: float = 1.0
    hip_r: float = 0.6
    left_out: float = 0.15
    prevalence: float = PREVALENCE
    coverage: float = 0.9
    r_age: float = COMPARATOR_R["age"]
    r_ost: float = COMPARATOR_R["ost"]
    source: str = "guessed"
    guessed: tuple[str, ...] = GUESSED

    @property
    def errors(self) -> dict[str, Any]:
        """What is assumed of the bundle, not of the subjects."""
        return {"rmse_gcm2": self.rmse_gcm2, "bias_gcm2": self.bias_gcm2, "coverage": self.coverage}

    def effective(self, subjects: float, r: float) -> float:
        """Independent hips that `subjects` are worth where the figure's parts of one subject correlate by `r`.

        With 1 or 2 hips each, the variance of a mean grows by 1 + 2 (hips - 1) r / hips.
        """
        return subjects * self.hips / (1 + 2 * (self.hips - 1) * r / self.hips)


def of_bundle(bundle: VerifiedBundle, precision: str) -> tuple[Assumptions, Assumptions]:
    """What the validation of the bundle has measured, if it is the one that this package comes with, else as `stated`;
    and `stated`, whose errors these are too.
    """
    found = stated(bundle, precision)
    facts = json.loads(VALIDATION.read_bytes())
    if facts["bundle_digest"] != bundle.digest or precision not in facts["precisions"]:
        return found, found
    films = facts["table"]["films"]
    measured = replace(
        found,
        **_measured(facts["precisions"][precision]["sites"]),
        source=f"errors of the bundle's validation on {films} ordinary films of the phantom, synthetic",
    )
    return measured, found


def stated(bundle: VerifiedBundle, precision: str) -> Assumptions:
    """What the bundle says of itself: errors on its calibrating films, where intervals hold as many as they mean to.

    Raises:
        UsageError: it states no RMSE, as bundles made before it was measured do not.
    """
    known = bundle.manifest.knowledge
    sites = known.precisions.get(precision) if known else None
    if not sites or set(sites) != set(SITES):
        raise UsageError("this bundle states no errors: give a former validation with --pilot validation.json")
    hips = min(sites[site].mean.hips for site in SITES)
    return Assumptions(
        rmse_gcm2={site: round(sites[site].mean.rmse_gcm2, 4) for site in SITES},
        bias_gcm2=dict.fromkeys(SITES, 0.0),
        int8_sd_gcm2=_int8_sd_gcm2(bundle),
        coverage=min(bundle.calibration[precision].sites[site].coverage for site in SITES),
        source=f"errors that the bundle states, of {hips:,} hips as diverse as those it learned from",
    )


def _measured(sites: Mapping[str, Any]) -> dict[str, Any]:
    """Errors as the sites of a validation.json have them; of the two coverages the smaller."""
    figures = {site: sites[site]["figures"] for site in SITES}
    return {
        "rmse_gcm2": {site: round(float(one["rmse_gcm2"]["value"]), 4) for site, one in figures.items()},
        "bias_gcm2": {site: round(float(one["bias_gcm2"]["value"]), 4) for site, one in figures.items()},
        "coverage": round(min(float(one["coverage"]["value"]) for one in figures.values()), 3),
    }


def _int8_sd_gcm2(bundle: VerifiedBundle) -> float:
    """From the 95th percentile of the shift that the bundle states, as if it were normal."""
    shifts = bundle.manifest.guard.get("int8", {}).values()
    return round(max((one.p95_shift_gcm2 for one in shifts), default=0.0) / float(stats.norm.ppf(0.975)), 5)


def of_pilot(path: Path, bundle: VerifiedBundle) -> tuple[Assumptions, Assumptions]:
    """What a validation.json has measured, with what the bundle says beside it; and the same with the errors at the
    unfavorable ends of their 95 % intervals.

    Raises:
        UsageError: the file is none, is of another bundle, or cannot be planned with.
    """
    if said := mistaken(path, "validation"):
        raise UsageError(f"--pilot: {said}")
    try:
        facts = json.loads(path.read_bytes())
        precision = facts["precisions"][facts["primary"]]
        sites = {site: precision["sites"][site] for site in SITES}
        subjects = min(int(one["subjects"]) for one in sites.values())
        digest, line = facts["bundle_digest"], facts["recalibration"]
        found = Assumptions(
            **_measured(sites),
            **_subjects(facts, precision, sites, subjects),
            int8_sd_gcm2=_int8_sd_gcm2(bundle),
            source=f"a validation of {subjects} subjects ({facts['table']['sha256'][:16]}){_synthetic(facts)}",
        )
        worse = replace(
            found,
            **_unfavorable(sites),
            source="errors at the unfavorable ends of the pilot's 95 % intervals",
        )
    except OSError as error:
        raise UsageError(
            f"--pilot {path.name}: cannot be read ({error.strerror}): `bmd-edge validate` writes it"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"--pilot {path.name}: no validation.json with figures of both sites") from error
    if digest != bundle.digest or line is not None:
        raise UsageError(
            f"--pilot {path.name}: measured with {'a recalibration' if line else 'another bundle'}: validate the pilot"
            " with the bundle that the study is planned for"
        )
    if subjects < MIN_SUBJECTS:
        raise UsageError(f"--pilot {path.name}: {subjects} subjects, a pilot has {MIN_SUBJECTS} or more")
    _possible(found)
    return found, worse


def _subjects(
    facts: Mapping[str, Any], precision: Mapping[str, Any], sites: Mapping[str, Any], n: int
) -> dict[str, Any]:
    """What a validation.json tells of its subjects, `n` of them with both numbers; the rest stays guessed.

    SD of DEXA: the RMSE of predicting each hip by the mean of the other subjects, of the site where it is smaller.
    """
    means = [facts["knowledge"][facts["primary"]][site]["mean"] for site in SITES]
    low = precision["headline"]["targets"][f"{OSTEOPOROSIS_T:g}"]["prevalence"]["value"]
    hips = max(one["hips"] / max(one["subjects"], 1) for one in sites.values())
    found = {"hips": min(max(round(hips, 2), 1.0), 2.0), "left_out": round(1 - n / facts["table"]["subjects"], 3)}
    if all(means):
        found["bmd_sd_gcm2"] = round(min(float(one["baseline_rmse_gcm2"]) for one in means), 3)
    if low and low < 1:  # else all its subjects are of one kind
        found["prevalence"] = round(low, 3)
    return {**found, "guessed": tuple(name for name in GUESSED if name not in found)}


def _synthetic(facts: Mapping[str, Any]) -> str:
    makers = {row["part"] for rows in facts["subgroups"].values() for row in rows if row["division"] == "maker"}
    return ", whose films are synthetic" if any(name.startswith(_SYNTHETIC) for name in makers) else ""


def _unfavorable(sites: Mapping[str, Any]) -> dict[str, Any]:
    """As `_measured`: the upper limit of the RMSE, the end of the bias that is larger in size, the lower of coverage.

    An interval that is not there leaves the value.
    """
    figures = {site: sites[site]["figures"] for site in SITES}
    ends: dict[str, dict[str, list[float]]] = {
        site: {
            name: [x for x in one[name].values() if x is not None] for name in ("rmse_gcm2", "bias_gcm2", "coverage")
        }
        for site, one in figures.items()
    }
    return {
        "rmse_gcm2": {site: round(max(one["rmse_gcm2"]), 4) for site, one in ends.items()},
        "bias_gcm2": {site: round(float(max(one["bias_gcm2"], key=abs)), 4) for site, one in ends.items()},
        "coverage": round(min(min(one["coverage"]) for one in ends.values()), 3),
    }


def assumed(before: Assumptions, texts: Sequence[str]) -> Assumptions:
    """`before` with what is given; errors as of `given`, and UsageError where the numbers do not go together."""
    found = given(before, texts)
    _possible(found)
    return found


def given(before: Assumptions, texts: Sequence[str]) -> Assumptions:
    """`before` with what is given as NAME=VALUE, of one site NAME.SITE=VALUE.

    Raises:
        UsageError: no such name, or a value that cannot be.
    """
    found, names = before, set[str]()
    for text in texts:
        name, _, value = text.partition("=")
        if name.strip() in names:
            raise UsageError(f"--assume {text}: {name.strip()} is given twice, give it once")
        names.add(name.strip())
        name, _, site = name.strip().partition(".")
        try:
            found = _with(found, name, site, float(value))
        except ValueError:
            raise UsageError(f"--assume {text}: {misnamed(text, BOUNDS)}{_form(name)}") from None
    return found


def shares(texts: Sequence[str]) -> dict[str, float]:
    """Parts of the subjects from NAME=SHARE; UsageError says the form."""
    found: dict[str, float] = {}
    for text in texts:
        name, _, share = text.partition("=")
        if name.strip() in found:
            raise UsageError(f"--subgroup {text}: {name.strip()} is given twice, give it once")
        try:
            found[name.strip()] = float(share)
        except ValueError:
            found[""] = 0.0
        if not all(found) or not all(0 < one < 1 for one in found.values()):
            raise UsageError(f"--subgroup {text}: write NAME=SHARE with a share between 0 and 1, such as men=0.2")
    return found


def _with(found: Assumptions, name: str, site: str, value: float) -> Assumptions:
    if name not in BOUNDS or not BOUNDS[name][0] <= value <= BOUNDS[name][1]:
        raise ValueError
    now = getattr(found, name)
    if (site and not isinstance(now, Mapping)) or site not in ("", *SITES):
        raise ValueError
    changed: dict[str, Any] = {name: value}
    if isinstance(now, Mapping):
        changed = {name: {**now, **dict.fromkeys([site] if site else SITES, value)}}
    return replace(
        found,
        **changed,
        source=f"{found.source}; given: {name}{'.' if site else ''}{site}",
        guessed=tuple(one for one in found.guessed if one != name),
    )


def _form(name: str) -> str:
    if name not in BOUNDS:
        return "write NAME=VALUE or NAME.SITE=VALUE"
    low, high = BOUNDS[name]
    form = f"{name}=VALUE{f' or {name}.SITE=VALUE' if name in ('rmse_gcm2', 'bias_gcm2') else ''}"
    unit = "g/cm2" if name.endswith("_gcm2") else "hips" if name == "hips" else "a share or correlation, not percent"
    return f"write {form} with a value from {low:g} to {high:g} ({unit})"


def _possible(found: Assumptions) -> None:
    for name, (low, high) in BOUNDS.items():
        value = getattr(found, name)
        for one in value.values() if isinstance(value, Mapping) else [value]:
            if not low <= one <= high:
                raise UsageError(
                    f"{name} {one:g} from {found.source} cannot be planned with: give --assume {name}, {_form(name)}"
                )
    for site, rmse in found.rmse_gcm2.items():
        if abs(found.bias_gcm2[site]) >= rmse:
            raise UsageError(
                f"{site}: a bias of {found.bias_gcm2[site]:g} is not below the RMSE of {rmse:g} g/cm2, which holds it:"
                f" give --assume bias_gcm2.{site}=VALUE between -{rmse:g} and {rmse:g}, or a larger rmse_gcm2.{site}"
            )
        if not 0 < rmse < found.bmd_sd_gcm2:
            raise UsageError(
                f"{site}: an RMSE of {rmse:g} is not below the SD of DEXA, {found.bmd_sd_gcm2:g} g/cm2: such estimates"
                f" know nothing; give --assume rmse_gcm2.{site}=VALUE below {found.bmd_sd_gcm2:g}, or a bmd_sd_gcm2"
                f" above {rmse:g}"
            )
