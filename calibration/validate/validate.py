"""A bundle and a film table with DEXA -> everything that is said about their agreement, as plain data."""

import hashlib
import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.errors import TableError, nearest, reasons_said
from bmd_edge.measure.recalibration import NO_HEADLINE, open_recalibration
from bmd_edge.report.film_report import RESEARCH_USE, count
from bmd_edge.report.pages import SITE_NAMES
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow, read_table
from bmd_edge.version import __version__
from calibration.pairs import learned_from, table_checks
from calibration.pairs.answers import FilmAnswers, Progress, read_films
from calibration.pairs.finding import Finding, weight
from calibration.pairs.pairs import Pair, pair, reasons
from calibration.statistics.bootstrap import CONFIDENCE, RESAMPLES, SEED
from calibration.validate import int8_shift, knowledge
from calibration.validate.flow import flow
from calibration.validate.headline import headline
from calibration.validate.one_site import labelled, selected, site_figures
from calibration.validate.subgroups import COVERAGE_FLOOR, MIN_COVERAGE_HIPS, apart, subgroups

SCHEMA = 1
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Validation:
    """A finished validation: `facts` is the content of validation.json, the rest what pages and tables need beside it.

    `pairs` holds every row of the table; `left_out` those that no figure holds, by (film, side).
    """

    facts: dict[str, Any]
    pairs: list[Pair]
    films: list[FilmAnswers]
    left_out: dict[table_checks.Key, str]

    @property
    def kept(self) -> list[Pair]:
        """The rows that figures are made of."""
        return [one for one in self.pairs if (one.film, one.side) not in self.left_out]


def validate(
    bundle: VerifiedBundle,
    table: Path,
    *,
    split: str = "test",
    known: Sequence[Path] = (),
    recalibration: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Validation:
    """Validate a bundle against the DEXA of a table, in every precision it holds.

    Args:
        bundle: a verified bundle.
        table: film table of whole DICOM films; only rows of `split` are validated.
        split: which rows.
        known: film tables and run folders that the bundle has learned from; rows of other splits of `table` count as
            known without being named.
        recalibration: path of a recalibration, used as `screen --recalibration` does.
        device: as `bmd_edge.Screener`.
        threads: worker processes; None for one per CPU.
        progress: called with films done and their number.

    Raises:
        TableError: the table is broken, holds no row of the split, or no hip has both numbers.
        EngineError: the bundle cannot be run.
    """
    everything = read_table(table)
    rows = of_split(table, everything, split)
    if not any(value is not None for row in rows for value in row.bmd_gcm2.values()):
        raise TableError(f"{table.name}: no row of the split {split} has DEXA")
    here = learned_from.known_rows(row for row in everything if row.split != split)
    learned = here.joined(learned_from.read_known(known))
    paths = {row.film: row.film_path for row in rows}
    films, device = read_films(bundle.root, paths, device, threads, progress, recalibration)
    digest, found = sha256(table), []
    found += learned_from.by_bundle(bundle.manifest, digest, split, named=bool(known))
    if recalibration is not None:
        opened = open_recalibration(recalibration, bundle)
        shipped, digests = bundle.calibration, {digest, *map(sha256, filter(Path.is_file, known))}
        calibration = {name: opened.applied_to(numbers, name) for name, numbers in shipped.items()}
        bundle = replace(bundle, calibration=calibration)
        found += learned_from.by_recalibration(opened.file, digest, split, digests)
        if any(one.operating_points and not calibration[name].operating_points for name, one in shipped.items()):
            found.append(Finding("recalibration_without_headline", "warning", NO_HEADLINE))
    return compare(bundle, table, split, learned, films, device, found)


def compare(
    bundle: VerifiedBundle,
    table: Path,
    split: str,
    learned: learned_from.Known,
    films: Sequence[FilmAnswers],
    device: str,
    more: Sequence[Finding] = (),
) -> Validation:
    """The second half of `validate`: answers and DEXA -> figures; `more` are findings about table and bundle."""
    everything = read_table(table)
    rows = of_split(table, everything, split)
    precisions = list(films[0].reports)
    primary = primary_of(device, precisions)
    pairs = pair(rows, films)
    checked = table_checks.examine(rows, pairs, learned, primary)
    findings = [
        *more,
        *checked.findings,
        *table_checks.contradictions(rows, pairs, films),
    ]
    made = Validation({}, pairs, list(films), checked.left_out)
    if not any(labelled(made.kept, site, primary) for site in SITES):
        raise TableError(
            f"{table.name}: no hip of split {split} has both an estimate and a DEXA: {_why_none(made, primary)}"
        )
    films_of_bundle = bundle.manifest.provenance.calibration_films
    facts = {
        **about(bundle, device, primary),
        "table": about_table(table, rows, everything, split),
        "bundle_makers": sorted(films_of_bundle.makers) if films_of_bundle else [],
        "bootstrap": ABOUT_BOOTSTRAP,
    }
    facts["recalibration"] = films[0].reports[primary].recalibration
    facts["precisions"] = {name: _precision(made, bundle, name) for name in precisions}
    facts["subgroups"] = {site: subgroups(*selected(made.kept, site, primary)) for site in SITES}
    facts["quantized"] = {
        name: {
            "sites": int8_shift.compare(made.kept, name, _limits(bundle, name)),
            "headline": int8_shift.headlines(films, name, _limits(bundle, name)),
            "flips": int8_shift.flips(pairs, films, name),
        }
        for name in precisions
        if name != "fp32"
    }
    known = {name: knowledge.knowledge_of(made.kept, films, name) for name in precisions}
    facts["knowledge"] = {name: knowledge.facts_of(sites) for name, sites in known.items()}
    facts["flow"] = flow(pairs, checked.left_out, primary)
    facts["acceptance"] = []  # until somebody names limits: `calibration.validate.acceptance`
    facts["plan"] = None  # until it is held against one: `calibration.study.deviations`
    findings += [*knowledge.findings(known[primary]), *_figure_findings(facts)]
    facts["findings"] = [asdict(finding) for finding in sorted(findings, key=weight)]
    return Validation(rounded(facts), pairs, list(films), checked.left_out)


def primary_of(device: str, precisions: Iterable[str]) -> str:
    """The precision that `screen` uses on this device, and pages show first."""
    return "int8" if device == "cpu" and "int8" in precisions else "fp32"


def of_split(table: Path, everything: Sequence[HipRow], split: str) -> list[HipRow]:
    """The rows of a split; TableError where there is none."""
    rows = [row for row in everything if row.split == split]
    if not rows:
        there = ", ".join(sorted({row.split for row in everything}))
        near = nearest(split, there.split(", "))
        raise TableError(f"{table.name}: no row has split = {split}, but {there}; name one with --split{near}")
    return rows


def sha256(path: Path) -> str:
    """Of the bytes of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _why_none(made: Validation, precision: str) -> str:
    said = (
        [f"{len(made.left_out)} left out ({', '.join(sorted(set(made.left_out.values())))})"] if made.left_out else []
    )
    said += filter(None, [reasons_said(reasons(made.kept, precision))])
    return ", ".join(said) or "the table holds no DEXA"


ABOUT_BOOTSTRAP = {
    "by": "subject", "method": "BCa", "confidence": CONFIDENCE, "resamples": RESAMPLES, "seed": SEED,
}  # fmt: skip


def about(bundle: VerifiedBundle, device: str, primary: str) -> dict[str, Any]:
    """What was measured, with what: the head of every report on a bundle."""
    return {
        "schema": SCHEMA,
        "use": RESEARCH_USE,
        "notice": bundle.manifest.validity.notice,
        "training_data": bundle.manifest.validity.training_data,
        "versions": {
            "bmd-edge": __version__,
            **{name: importlib.metadata.version(name) for name in ("numpy", "scipy")},
        },
        "bundle": bundle.manifest.version,
        "bundle_digest": bundle.digest,
        "device": device,
        "primary": primary,
    }


def about_table(table: Path, rows: Sequence[HipRow], everything: Sequence[HipRow], split: str) -> dict[str, Any]:
    """A table and its rows of the split, in numbers; nothing in it names a place or a person."""
    return {
        "name": table.name,
        "sha256": sha256(table),
        "split": split,
        "rows": len(rows),
        "other_rows": len(everything) - len(rows),
        "films": len({row.film for row in rows}),
        "subjects": len({row.subject for row in rows}),
        "labelled_hips": sum(any(value is not None for value in row.bmd_gcm2.values()) for row in rows),
        "scales": {
            name: sum(row.scale == name for row in rows) for name in sorted({row.scale for row in rows if row.scale})
        },
    }


# -- one precision ------------------------------------------------------------------------------------------------


def _precision(made: Validation, bundle: VerifiedBundle, precision: str) -> dict[str, Any]:
    kept = made.kept
    return {
        **count(film.reports[precision] for film in made.films),
        "rows_without_a_number": reasons(made.pairs, precision),
        "sites": {site: site_figures(kept, site, precision) for site in SITES},
        "headline": headline(kept, made.films, bundle, precision),
    }


# -- findings that only the figures show --------------------------------------------------------------------------


def _limits(bundle: VerifiedBundle, precision: str) -> dict[str, Any]:
    return {site: facts.limits for site, facts in bundle.manifest.guard.get(precision, {}).items()}


def _figure_findings(facts: Mapping[str, Any]) -> list[Finding]:
    found = [one for site in facts["subgroups"] if (one := _narrow(facts, site))]
    whole = facts["precisions"][facts["primary"]]["sites"]
    found += [one for site, rows in facts["subgroups"].items() for one in apart(site, rows, whole[site])]
    for precision, compared in facts["quantized"].items():
        words = compared["headline"]
        if words["verdict"] == "not_shown":
            sentence = (
                f"{precision} is not shown to be as good as fp32: {words['films_with_another']} of {words['films']}"
            )
            sentence += f" films get another headline, allowed {words['allowed_share']:.1%}."
            found.append(Finding("budget_not_shown", "warning", sentence))
        for site, row in compared["sites"].items():
            if row["beyond"]:
                sentence = f"{SITE_NAMES[site]}: {precision} is not shown to be as good as fp32: "
                sentence += "; ".join(row["beyond"]) + "."
                found.append(Finding("budget_not_shown", "warning", sentence, row["hips"]))
    return found


def _narrow(facts: Mapping[str, Any], site: str) -> Finding | None:
    """The interval covers too little, in all hips or, where these do not show it, in parts of them."""
    whole = facts["precisions"][facts["primary"]]["sites"][site]
    everyone = {"division": "all", "part": "hips", **whole}
    low = [row for row in [everyone, *facts["subgroups"][site]] if _covers_too_little(row)]
    if not low:
        return None
    shown = low[:1] if low[0] is everyone else low
    parts = "; ".join(
        f"{row['division']} {row['part']} {row['figures']['coverage']['value']:.1%}"
        f" (upper bound {row['figures']['coverage']['high']:.1%}, n = {row['hips']})"
        for row in shown
    )
    sentence = f"{SITE_NAMES[site]}: the 90 % interval covers less in {parts}. Recalibrate before relying on it."
    return Finding("interval_too_narrow", "warning", sentence, shown[0]["hips"])


def _covers_too_little(row: Mapping[str, Any]) -> bool:
    high = row["figures"]["coverage"]["high"]
    return row["hips"] >= MIN_COVERAGE_HIPS and high is not None and high < COVERAGE_FLOOR


def rounded(value: Any) -> Any:
    """Floats to six decimals, so that the last bits of another CPU change no file; tuples become lists."""
    if isinstance(value, float):
        return round(value, _DIGITS) + 0.0
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value
