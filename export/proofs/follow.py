"""Proof of `bmd-edge follow`: `python -m export.proofs.follow --n 400 --out FILE --repeatability FILE`.

Subjects of the phantom are filmed two to six times without a loss, and many of them again while they lose 0.5 to 10 % a
year. A clinic's precision is measured on other subjects; then the shipped line says of each series, after every visit,
whether the hip has changed. How often it says so stands there twice: `counted` on the films as they are, and `modeled`
for every loss over all subjects: what two films of one unchanged hip differ by is their error, and any true change,
times the longitudinal slope, is added to it, by precision studies drawn anew. All figures are synthetic.

An interrupted proof goes on where it stopped, and one of the next bundle takes a tenth of the time: films are kept.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.cli.terminal import progress_bar
from bmd_edge.follow.change import Followed, corrected, follow, trend
from bmd_edge.follow.repeatability import SCHEMA, LongitudinalSlope, RepeatabilityFile, SiteRepeatability
from bmd_edge.follow.series import SIZES_APART, series_of, size_mm, unit_of
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_file
from calibration.repeat.longitudinal import longitudinal_slope
from calibration.repeat.precision import site_repeatability, write_repeatability
from calibration.statistics.bootstrap import F64
from export.proofs.change_power import STUDY_SUBJECTS, Errors, modeled, years_to_tell
from export.proofs.followed_films import PELVES, RATES, SeenFilm, plan, read
from export.proofs.phantom_rois import named, run

Groups = dict[tuple[str, int, float], list[SeenFilm]]
"""The films of each subject by group, number and planted rate, in the order of their years."""


def by_subject_of(seen: Sequence[SeenFilm]) -> Groups:
    """Films put together by subject and rate; those of a loss, and those by another unit, begin with unchanged ones."""
    found: Groups = {}
    for one in seen:
        found.setdefault((one.planned.group, one.planned.subject, one.planned.rate), []).append(one)
    for (group, subject, rate), films in found.items():
        if rate > 0 or group == "other_unit":
            films[:0] = found["followed", subject, 0.0][: films[0].planned.year]
    return found


def with_numbers(films: Sequence[SeenFilm]) -> list[SeenFilm]:
    """Those that have a number at their own side."""
    return [film for film in films if len(numbers([film])[0])]


def numbers(films: Sequence[SeenFilm], side: str | None = None) -> tuple[F64, F64]:
    """Estimates and truth (films, sites) of the films' own side, or of `side`, where there is a number; g/cm2."""
    rows = []
    for film in films:
        wanted = side or film.planned.spec.side
        for hip in film.report.hips:
            if hip.side == wanted and hip.estimates:
                true = film.true_gcm2[wanted]
                rows.append(([one.bmd_gcm2 for one in hip.estimates], [true[site] for site in SITES]))
    values = np.array(rows, np.float64).reshape(-1, 2, len(SITES))
    return values[:, 0], values[:, 1]


def repeated(groups: Groups, unchanged_too: bool) -> dict[str, SiteRepeatability]:
    """Of the group `repeated`, a clinic's precision study; with the unchanged followed ones all there is."""
    found = []
    for (group, subject, rate), films in groups.items():
        if group == "repeated" or (unchanged_too and group == "followed" and rate == 0):
            values, _ = numbers(films)
            if len(values) > 1:
                found.append((f"{group}-{subject}", values))
    return {
        site: site_repeatability([(name, values[:, column]) for name, values in found])
        for column, site in enumerate(SITES)
    }


def slopes(groups: Groups) -> dict[str, LongitudinalSlope | None]:
    """Estimated on true change, first film to last, of the subjects with a loss."""
    subjects, estimate, true = [], [], []
    for (_, subject, rate), films in groups.items():
        values, truth = numbers(films)
        if rate > 0 and len(values) > 1:
            subjects.append(str(subject))
            estimate.append(values[-1] - values[0])
            true.append(truth[-1] - truth[0])
    if not subjects:
        return dict.fromkeys(SITES)
    y, x = np.stack(estimate), np.stack(true)
    none = np.zeros(len(subjects))
    return {site: longitudinal_slope(subjects, y[:, column], x[:, column], none) for column, site in enumerate(SITES)}


def repeatability_file(
    source: str, digest: str, precisions: dict[str, dict[str, SiteRepeatability]], by: Sequence[str] = ()
) -> RepeatabilityFile:
    """The figures as `bmd-edge follow` takes them; `by` are the units of a clinic's repeated films."""
    return RepeatabilityFile(SCHEMA, source, digest, None, None, {}, tuple(by), precisions, {})


def followed(films: Sequence[SeenFilm], known: RepeatabilityFile) -> Followed | None:
    """What the shipped line says of one series of films with numbers; None where it takes them for two patients'."""
    series, _ = series_of([film.report for film in films], date(2026, 1, 1))
    own = [one for one in series if one.side == films[0].planned.spec.side]
    return follow(own[0], known) if own else None


def counted(groups: Groups, known: RepeatabilityFile) -> list[dict[str, Any]]:
    """By planted rate and number of visits, of how many series a change is stated, and of how many (`ever`) it is at
    one look at least by those who look after every visit; `left_out` are taken for two patients': nothing is stated.
    """
    looks: dict[tuple[float, int], list[tuple[bool, bool, bool]]] = defaultdict(list)
    for (group, _, rate), films in groups.items():
        if group == "followed":
            read, ever = with_numbers(films), False
            for visits in range(2, len(read) + 1):
                one = followed(read[:visits], known)
                stated = one is not None and any(change.stated for change in one.changes)
                ever = ever or stated
                looks[rate, visits].append((stated, ever, one is None))
    rows = []
    for (rate, visits), found in sorted(looks.items()):
        stated, ever, left_out = (sum(column) for column in zip(*found, strict=True))
        row = {"loss_a_year": rate, "visits": visits, **share(stated, len(found))}
        rows.append(row | {"ever": share(ever, len(found)), "left_out": left_out})
    return rows


def share(k: int, n: int) -> dict[str, Any]:
    """A share with its exact 95 % interval (Clopper-Pearson)."""
    if not n:
        return {"n": 0, "stated": None, "low": None, "high": None}
    ends = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
    return {"n": n, "stated": round(k / n, 4), "low": round(float(ends.low), 4), "high": round(float(ends.high), 4)}


def units(groups: Groups, known: RepeatabilityFile) -> dict[str, Any]:
    """How many series of four films name the change of unit on its date and compare nothing over it."""
    right, shifts = [], []
    for (group, _, _), films in groups.items():
        read = with_numbers(films)
        if group == "other_unit" and len(read) == len(films):
            one, changed = followed(read, known), date(2017, 7, 1)
            breaks = [(b.after.taken, b.changed) for b in one.series.breaks] if one else []
            over = one is None or any((c.first.taken < changed) != (c.last.taken < changed) for c in one.changes)
            right.append(breaks == [(changed, ["X-ray unit"])] and not over)
            values, _ = numbers(read)
            shifts.append(values[2:].mean(0) - values[:2].mean(0))
    spread = np.stack(shifts).std(0, ddof=1) if len(shifts) > 1 else np.full(len(SITES), np.nan)
    named_share = share(sum(right), len(right))
    named_share["named"] = named_share.pop("stated")
    return named_share | {"sd_of_shift_gcm2": [round(float(one), 4) for one in spread]}


def two_sizes(groups: Groups, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How two patients under one ID are told: the limit, the SD of the logarithm of a hip's size over its films, the
    share of pairs of subjects, a film each, that lie beyond the limit, and of the longest true series (`rows` of
    `counted`), wrongly.
    """
    longest = [row for row in rows if row["visits"] == max(one["visits"] for one in rows)]
    wrongly = share(sum(row["left_out"] for row in longest), sum(row["n"] for row in longest))
    hips = []
    for (group, _, rate), films in sorted(groups.items(), key=_key):
        if group == "followed" and rate == 0:
            side = films[0].planned.spec.side
            found = [size_mm(h, f.report.spacing_mm) for f in films for h in f.report.hips if h.side == side]
            hips.append(np.log([one for one in found if not np.isnan(one)]))
    hips = [one for one in hips if len(one)]
    squares, degrees = sum(((one - one.mean()) ** 2).sum() for one in hips), sum(len(one) - 1 for one in hips)
    first = np.array([one[0] for one in hips])
    apart = np.abs(first[:, None] - first)[np.triu_indices(len(first), 1)]
    return {
        "limit": SIZES_APART,
        "sd_of_logarithm": round(float(np.sqrt(squares / degrees)), 4),
        "strangers": round(float((apart > np.log(SIZES_APART)).mean()), 4),
        "true_series": {"wrongly" if name == "stated" else name: value for name, value in wrongly.items()},
    }


def rates_covered(groups: Groups, known: RepeatabilityFile, found: dict[str, LongitudinalSlope | None]) -> Any:
    """How often the 95 % interval of a corrected rate holds the true one, of a series of three visits or more of each
    subject: one with a loss where there is one.
    """
    held = {site: [0, 0] for site in SITES}
    series = {subject: films for (group, subject, _), films in sorted(groups.items(), key=_key) if group == "followed"}
    for films in map(with_numbers, series.values()):
        one = followed(films, known)
        if len(films) < 3 or one is None:
            continue
        for site in SITES:
            slope, sd = found[site], one.sd_gcm2[0][site]
            if slope is None or sd is None:
                continue
            rate = corrected(*trend(one.series.parts[0], site, sd), slope)
            years = np.array([film.planned.year for film in films], float)
            true = np.array([film.true_gcm2[film.planned.spec.side][site] for film in films])
            if rate:
                held[site][0] += rate.low <= np.polyfit(years, true, 1)[0] <= rate.high
                held[site][1] += 1
    return {
        site: {"covered" if k == "stated" else k: v for k, v in share(*some).items()} for site, some in held.items()
    }


def _key(item: tuple[tuple[str, int, float], list[SeenFilm]]) -> tuple[str, int, float]:
    return item[0]


def errors_of(groups: Groups, found: dict[str, LongitudinalSlope | None]) -> Errors:
    """Of every hip that loses nothing its estimates, and its true BMD."""
    slope = np.array([one.slope if (one := found[site]) else 1.0 for site in SITES])
    estimates, first = [], []
    for (group, _, rate), films in sorted(groups.items(), key=_key):
        values, truth = numbers(films)
        if group == "followed" and rate == 0 and len(values) > 1:
            estimates.append(values)
            first.append(truth[0])
    return Errors(tuple(estimates), np.array(first), slope)


def both_hips(groups: Groups) -> list[tuple[F64, F64]]:
    """Of every pelvis its estimates of the right and the left hip (films, sites), where all films have both."""
    pairs = [
        (numbers(films, "R")[0], numbers(films, "L")[0])
        for (group, *_), films in groups.items()
        if group == "both_hips"
    ]
    return [pair for pair in pairs if all(len(one) == PELVES for one in pair)]


def prove(groups: Groups, digest: str, precision: str, known: dict[str, SiteRepeatability]) -> dict[str, Any]:
    """Every figure of one precision."""
    found = slopes(groups)
    clinic = repeated(groups, unchanged_too=False)
    by = sorted(
        {unit_of(film.report) for (group, *_), films in groups.items() if group == "repeated" for film in films}
    )
    file = repeatability_file("clinic", digest, {precision: clinic}, by)
    errors = errors_of(groups, found)
    rows = counted(groups, file)
    return {
        "precision": precision,
        "repeatability": {site: asdict(one) for site, one in known.items()},
        "clinic": {site: asdict(one) for site, one in clinic.items()},
        "longitudinal_slope": {site: one and asdict(one) for site, one in found.items()},
        "counted": rows,
        "modeled": modeled(errors, RATES),
        "other_unit": units(groups, file),
        "two_sizes": two_sizes(groups, rows),
        "rates_covered": rates_covered(groups, file, found),
        "years_to_tell_1_percent": years_to_tell(errors, both_hips(groups)),
    }


def main(arguments: Sequence[str], say: Callable[[str], object]) -> int:
    """The command; returns its exit status: 1 where false alarms exceed 5 % or units go unnamed."""
    parser = argparse.ArgumentParser(prog="python -m export.proofs.follow", description=__doc__.splitlines()[0])
    parser.add_argument("bundle", nargs="?", type=Path, help="bundle folder; default the embedded one")
    parser.add_argument("--n", type=int, default=400, help="subjects that are followed; others are added to them")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--before", type=Path, help="an earlier bundle, to say what its successor narrowed")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the figures")
    parser.add_argument("--repeatability", type=Path, help="JSON file of the phantom's figure, for `bmd-edge follow`")
    asked = parser.parse_args(arguments)
    bundle = read_bundle(asked.bundle)
    films = plan(asked.n, STUDY_SUBJECTS, asked.n // 5, asked.n // 12)
    whole, first = {}, ""
    groups: dict[str, Groups] = {}
    with progress_bar() as progress:
        for precision in bundle.precisions("bmd"):
            groups[precision] = by_subject_of(read(asked.bundle, films, precision, asked.workers, progress))
            found = slopes(groups[precision])
            known = repeated(groups[precision], unchanged_too=True)
            whole[precision] = {site: replace(one, slope=found[site]) for site, one in known.items()}
        first = "int8" if "int8" in groups else next(iter(groups))
        before = asked.before and by_subject_of(read(asked.before, films, first, asked.workers, progress))
    facts = {
        "command": "python -m export.proofs.follow " + " ".join(named(one) for one in arguments),
        "synthetic": True,
        "bundle": bundle.manifest.version,
        "bundle_digest": bundle.digest,
        "subjects": asked.n,
        "films": len(films),
        **prove(groups[first], bundle.digest, first, whole[first]),
        "before": before
        and {
            "bundle": read_bundle(asked.before).manifest.version,
            "repeatability": {site: asdict(one) for site, one in repeated(before, unchanged_too=True).items()},
            "longitudinal_slope": {site: one and asdict(one) for site, one in slopes(before).items()},
            "years_to_tell_1_percent": years_to_tell(errors_of(before, slopes(before)), both_hips(before)),
        },
    }
    with replace_file(asked.out) as file:
        file.write(json.dumps(facts, indent=1, allow_nan=False) + "\n")
    if asked.repeatability:
        write_repeatability(asked.repeatability, repeatability_file("phantom", bundle.digest, whole))
    return 0 if holds(facts, say) else 1


def holds(facts: dict[str, Any], say: Callable[[str], object]) -> bool:
    """Whether false alarms may be 5 % or fewer everywhere, and 95 % of the changes of unit are named."""
    rows = [one for name in ("counted", "modeled") for one in facts[name] if one["loss_a_year"] == 0]
    alarms = [*rows, *(one["ever"] for one in rows if "ever" in one)]
    named_units = facts["other_unit"]["named"] or 0.0
    say(f"false alarms, lower ends of 95 %: {[one['low'] for one in alarms]}; units named: {named_units:.1%}")
    return all((one["low"] or 0.0) <= 0.05 for one in alarms) and named_units >= 0.95


if __name__ == "__main__":
    run(main)
