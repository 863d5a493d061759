"""A study as it may leave the clinic: estimates with variances, no value of a patient, no small cell.

Variances are of the delete-one-subject jackknife, to two digits, and counts are multiples of five: the exact number of
subjects, and so a small difference between two numbers, cannot be made of them. Shares with fewer than five on a side
are withheld, but the 2x2 table of the primary endpoint where the clinic confirms its release.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bmd_edge.bundle.strict_json import parse, read_json
from bmd_edge.errors import BundleError, UsageError
from bmd_edge.measure.t_score import OSTEOPOROSIS_T
from bmd_edge.report.film_report import RESEARCH_USE
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_file
from bmd_edge.system.own_files import mistaken
from bmd_edge.table.film_table import HipRow, read_table
from bmd_edge.version import __version__
from calibration.pairs.pairs import Pair
from calibration.statistics import agreement, detection
from calibration.statistics.bootstrap import F64
from calibration.study.aims import aims
from calibration.study.endpoints import CALLED, Film, films_of
from calibration.study.frozen import StudyPlan
from calibration.study.release import (
    SMALLEST,
    Cells,
    Release,
    blurred,
    ledger_file,
    merged,
    read_ledger,
    record,
    small,
    too_near,
    used,
)
from calibration.validate.one_site import data_of
from calibration.validate.validate import Validation, of_split

SCHEMA = 1
KIND = "bmd-edge study summary"
MIN_SUBJECTS = 30
"""Below it nothing leaves the clinic."""

_NO_TABLE = "--release-table is for a plan whose primary aim is sensitivity or specificity"

SCALES = {"bias_gcm2": "identity", "rmse_gcm2": "log", "coverage": "logit", "sensitivity": "logit",
          "specificity": "logit", "auroc": "logit"}  # fmt: skip
"""On what scale each figure is told and pooled."""

FIGURES = (
    *(f"{site}.{name}" for site in SITES for name in ("bias_gcm2", "rmse_gcm2", "coverage")),
    "sensitivity", "specificity", "auroc",
)  # fmt: skip
"""Every figure that a summary may tell."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure on its scale, and its variance there."""

    estimate: float
    variance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the file says. `estimates` by name, `SITE.FIGURE` or, of films, `FIGURE`; `withheld` says why one is not
    there. `refusals` is how the plan counts films without a number, None without one: they are left out. `table` is the
    2x2 table of the primary endpoint, if released.
    """

    kind: str
    schema: int
    use: str
    version: str
    clinic: str
    bundle: str
    bundle_digest: str
    precision: str
    recalibration: str | None
    plan: str | None
    refusals: str | None
    subjects: int
    without_a_number: dict[str, int]
    estimates: dict[str, Estimate]
    table: dict[str, int] | None
    withheld: dict[str, str]


def transformed(figure: str, value: Any) -> Any:
    """A figure's value on the scale it is pooled on."""
    with np.errstate(all="ignore"):
        scale = SCALES[figure]
        return value if scale == "identity" else np.log(value) if scale == "log" else np.log(value / (1 - value))


def back(figure: str, value: float) -> float:
    """The other way."""
    scale = SCALES[figure]
    return value if scale == "identity" else float(np.exp(value)) if scale == "log" else float(1 / (1 + np.exp(-value)))


def jackknife(figures: Callable[[F64], Mapping[str, F64]], subject: Sequence[str]) -> dict[str, Estimate]:
    """Figures of all hips or films (on their scales), with the variance of leaving out one subject after the other.

    Efron & Stein, Ann Stat 1981;9:586-596. A figure that does not exist is left out.
    """
    codes = np.unique(np.asarray(subject), return_inverse=True)[1]
    n = int(codes.max()) + 1 if len(codes) else 0
    weights = 1.0 - (codes[None, :] == np.arange(n)[:, None])
    whole = {name: transformed(name, value) for name, value in figures(np.ones((1, len(codes)))).items()}
    found = {}
    for name, value in figures(weights).items() if n > 1 else ():
        left = transformed(name, value)
        if not np.isfinite([whole[name][0], *left]).all():  # a share of all or none has no logit
            continue
        variance = (n - 1) / n * float(((left - left.mean()) ** 2).sum())
        if variance > 0:
            found[name] = Estimate(float(whole[name][0]), variance)
    return found


def check_release(path: Path | None, plan: StudyPlan | None, table: Path, split: str, *, release_table: bool) -> None:
    """Refuse, before films are read, what no result could mend; errors as of `summarize`."""
    if path is None:
        if release_table:
            raise UsageError("--release-table is about a --summary: name its file")
        return
    if not path.parent.is_dir():
        raise UsageError(f"--summary {path.name}: its folder is not there: make it, or name another")
    rows = of_split(table, read_table(table), split)
    _check_enough(len({row.subject for row in rows if None not in row.bmd_gcm2.values()}))
    if release_table and (plan is None or aims(plan.aims[0])[0].figure not in CALLED):
        raise UsageError(_NO_TABLE)
    read_ledger(ledger_file())


def _check_enough(subjects: int) -> None:
    if subjects < MIN_SUBJECTS:
        raise UsageError(f"{subjects} subjects with both sites: below {MIN_SUBJECTS} no summary leaves the clinic")


def summarize(made: Validation, rows: Sequence[HipRow], *, release_table: bool, ledger: Path | None = None) -> Summary:
    """The summary of a validation, recorded in the ledger of the clinic; of hips with DEXA of both sites, so that no
    number differs from site to site.

    Args:
        made: the validation, held against a plan or not.
        rows: the table's rows.
        release_table: the clinic confirms that the 2x2 table of the primary endpoint is told, whatever its cells.
        ledger: of what was released; by default that of the user.

    Raises:
        UsageError: too few subjects; the primary endpoint has no table; or it differs too little from a summary before.
    """
    facts = made.facts
    primary = facts["primary"]
    pairs = [one for one in made.kept if one.answers[primary].bmd_gcm2 and None not in one.dexa_gcm2.values()]
    subjects = len({one.subject for one in pairs})
    _check_enough(subjects)
    name, table = _primary_table(facts)
    if release_table and table is None:
        raise UsageError(_NO_TABLE)
    released = table if release_table else None
    path = ledger or ledger_file()
    book = read_ledger(path)
    answers = " ".join((facts["bundle_digest"], primary, facts["recalibration"] or "-"))
    now = Release(used(book, made.kept), answers)
    told = [Cells(figure, *_row(released, figure)) for figure in CALLED] if released else []
    if number := next(filter(None, (too_near(book, now, cells) for cells in told)), None):
        raise UsageError(
            f"--release-table: with summary {number} of this clinic the table tells a cell below five: leave it out"
        )
    estimates, withheld = {}, {}
    for part, one, why, cells in _estimates(made, pairs, films_of(made, rows), primary, released, name):
        number = too_near(book, now, cells) if one and cells else None
        if one is None or number:
            withheld[part] = f"its difference from summary {number} of this clinic is below five" if number else why
            continue
        estimates[part] = Estimate(_decimals(part, one.estimate), float(f"{one.variance:.2g}"))
        told += [cells] if cells else []
    record(book, replace(now, told=tuple(dict.fromkeys(told))), path)
    return Summary(
        kind=KIND,
        schema=SCHEMA,
        use=RESEARCH_USE,
        version=__version__,
        clinic=book.clinic,
        bundle=facts["bundle"],
        bundle_digest=facts["bundle_digest"],
        precision=primary,
        recalibration=facts["recalibration"],
        plan=facts["plan"] and facts["plan"]["digest"],
        refusals=facts["plan"] and facts["plan"]["refusals"],
        subjects=blurred(subjects) or 0,
        without_a_number=merged(facts["precisions"][primary]["rows_without_a_number"]),
        estimates=estimates,
        table=released,
        withheld=withheld,
    )


def _decimals(part: str, value: float) -> float:
    """Shares to two decimals of their logit, so that no exact count can be made of them."""
    return round(value, 2 if SCALES[part.rpartition(".")[2]] == "logit" else 6) + 0.0


def _primary_table(facts: Mapping[str, Any]) -> tuple[str | None, dict[str, int] | None]:
    """Figure and 2x2 table of the plan's primary endpoint; none without a plan, or of another kind."""
    for one in (facts["plan"] or {}).get("endpoints", [])[:1]:
        if "table" in one:
            return aims(one["aim"])[0].figure, dict(one["table"])
    return None, None


def _estimates(
    made: Validation,
    pairs: Sequence[Pair],
    films: Sequence[Film],
    precision: str,
    released: Mapping[str, int] | None,
    primary: str | None,
) -> Iterator[tuple[str, Estimate | None, str, Cells | None]]:
    """Every figure: its name, the estimate or why there is none, and the counts that the estimate tells."""
    few = "a cell below five"
    subject = [one.subject for one in pairs]
    for site in SITES:
        data = data_of(pairs, site, precision)
        covered = (data.low <= data.y) & (data.y <= data.high)
        cells = Cells(f"{site}.coverage", int(covered.sum()), int((~covered).sum()))
        few_outside = small(*([one for one, y in zip(subject, covered, strict=True) if y == k] for k in (True, False)))
        found = jackknife(_of_hips(data), subject)
        for name in ("bias_gcm2", "rmse_gcm2", "coverage"):
            hidden, told = (few_outside, cells) if name == "coverage" else (False, None)
            yield f"{site}.{name}", None if hidden else found.get(name), few if hidden else "no variance", told
    against = (made.facts["plan"] or {}).get("refusals") == "against"
    yield from _of_films(films, released, primary, against)


def _of_hips(data: agreement.Data) -> Callable[[F64], dict[str, F64]]:
    def figures(weights: F64) -> dict[str, F64]:
        found = agreement.figures(data, weights)
        return {name: found[name] for name in ("bias_gcm2", "rmse_gcm2", "coverage")}

    return figures


def _of_films(
    films: Sequence[Film], released: Mapping[str, int] | None, primary: str | None, against: bool
) -> Iterator[tuple[str, Estimate | None, str, Cells | None]]:
    """Area, sensitivity and specificity, T <= -2.5. A share is withheld if it tells a small cell, or does so by its
    difference from the released table of the other cut.
    """
    shown = [one for one in films if one.estimated_t is not None]
    low = np.array([one.dexa_t <= OSTEOPOROSIS_T for one in shown], np.bool_)
    if small(*([one.subject for one, y in zip(shown, low, strict=True) if y == k] for k in (True, False))):
        yield "auroc", None, "a cell below five", None
    else:
        score = np.array([one.estimated_t for one in shown], np.float64)
        found = jackknife(lambda w: {"auroc": detection.areas(score, low, w)["auroc"]}, [one.subject for one in shown])
        yield "auroc", found.get("auroc"), "no variance", None
    counted = [one for one in films if one.band is not None or against]
    for figure, bands in CALLED.items():
        cells = _cells(counted, figure, bands)
        right, wrong = map(len, cells)
        told = Cells(figure, right, wrong)
        if figure == primary and released is not None:
            yield figure, _corrected(*_row(released, figure)), "", told
        elif small(*cells):
            yield figure, None, "a cell below five", None
        elif released is not None and abs(wrong - _row(released, figure)[1]) < SMALLEST:
            yield figure, None, "its difference from the released table is below five", None
        else:
            yield figure, _corrected(right, wrong), "", told


def _cells(films: Sequence[Film], figure: str, bands: Sequence[str]) -> tuple[list[str], list[str]]:
    """Subjects of the films with right, and with wrong answers of the kind that the figure is about; a film without a
    number is a wrong one.
    """
    wanted = figure == "sensitivity"
    cells: tuple[list[str], list[str]] = ([], [])
    for one in films:
        if (one.dexa_t <= OSTEOPOROSIS_T) == wanted:
            cells[one.band is None or (one.band in bands) != wanted].append(one.subject)
    return cells


def _row(table: Mapping[str, int], figure: str) -> tuple[int, int]:
    names = ("true_low", "missed") if figure == "sensitivity" else ("true_other", "false_low")
    return table[names[0]], table[names[1]]


def _corrected(right: int, wrong: int) -> Estimate:
    """Logit of a share with half a film added to both sides (Haldane, Ann Hum Genet 1956;20:309-311)."""
    return Estimate(float(np.log((right + 0.5) / (wrong + 0.5))), 1 / (right + 0.5) + 1 / (wrong + 0.5))


def share(path: Path, made: Validation, table: Path, split: str, *, release_table: bool) -> None:
    """Write the summary of a validation of the rows of a split; errors as of `summarize`."""
    rows = of_split(table, read_table(table), split)
    write_summary(path, summarize(made, rows, release_table=release_table))


def write_summary(path: Path, summary: Summary) -> None:
    """Write the summary, atomically."""
    with replace_file(path) as file:
        file.write(json.dumps(asdict(summary), indent=1) + "\n")


def read_summary(path: Path) -> Summary:
    """Read a summary; UsageError where it is none, or of another schema."""
    if said := mistaken(path, "summary"):
        raise UsageError(said)
    try:
        facts = read_json(path.read_bytes(), path.name)
        if not isinstance(facts, dict) or facts.get("kind") != KIND:
            raise UsageError(f"{path.name}: no summary that `bmd-edge validate --summary` has written")
        if facts.get("schema") != SCHEMA:
            raise UsageError(f"{path.name}: a summary of schema {facts.get('schema')}, this version reads {SCHEMA}")
        found = parse(Summary, facts, path.name)
    except OSError as error:
        raise UsageError(f"{path.name}: cannot be read ({error.strerror}): `validate --summary` writes one") from error
    except BundleError as error:
        raise UsageError(f"{path.name}: no summary of a study, have it written anew ({error})") from error
    for name, one in found.estimates.items():
        if name not in FIGURES or not one.variance > 0:
            raise UsageError(f"{path.name}: {name} is no figure with a variance: changed by hand? have it written anew")
    return found
