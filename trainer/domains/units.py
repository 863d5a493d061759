"""One unit of the experiment is run: it adapts a start to unlabelled films of a domain, and is measured on its others.

Trainings lie in the user's cache folder, under the hash of their settings and films, so that a killed one goes on; what
was found is one small JSON file.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bmd_edge.errors import UsageError
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_file
from bmd_edge.system.places import phantom_cache
from bmd_edge.table.film_table import HipRow, read_table, write_table
from calibration.statistics.agreement import plain_figures
from calibration.statistics.conformal import conformal_scale
from trainer.adapt.interval import least_scale
from trainer.domains.design import NONE, VALIDATION, Size, Unit, settings, start_settings, starts_of
from trainer.paper_table.units import alone, seconds
from trainer.phantom.cohort.plan import CohortConfig, cohort_path
from trainer.run.settings_file import to_toml

Tell = Callable[[str], None]
F64 = NDArray[np.float64]
COVERAGE = 0.9


def run_unit(unit: Unit, size: Size, out: Path, tell: Tell) -> dict[str, Any]:
    """Train and measure a unit and write OUT/NAME.json, or read it where it stands.

    Raises:
        UsageError: what stands there was made with other settings or films.
    """
    wanted = {"settings": _text(unit, size), "configs": [size.source.digest(), unit.cohort(size).digest()]}
    place = out / f"{unit.name}.json"
    if place.is_file():
        known: dict[str, Any] = json.loads(place.read_text())
        if {key: known[key] for key in wanted} != wanted:
            raise UsageError(f"{place.name} was made with other settings or films; remove it, or choose another --out")
        return known
    starts = [start(size, seed, tell) for seed in starts_of(unit)]
    run = starts[0] if unit.row == NONE else _adapted(unit, size, starts, tell)
    facts: dict[str, Any] = {"row": unit.row, "trial": unit.trial, "changes": unit.changes, "domain": unit.domain}
    facts |= {"films": unit.films, "seed": unit.seed, "minutes": round(seconds(run or starts[0]) / 60, 2), **wanted}
    facts |= measured(unit, size, starts[0], run) if run else {"rmse_gcm2": None, "diverged": True}
    out.mkdir(parents=True, exist_ok=True)
    with replace_file(place) as file:
        file.write(json.dumps(facts) + "\n")
    return facts


def _text(unit: Unit, size: Size) -> str:
    return to_toml(start_settings(size, unit.seed) if unit.row == NONE else settings(unit, size))


def start(size: Size, seed: int, tell: Tell) -> Path:
    """The run folder of the start with this seed, which is trained if it is not there."""
    from trainer.commands import run_training

    config = start_settings(size, seed)
    run = _run_folder(to_toml(config), size.source.digest())
    with alone(run):
        run_training(config, cohort_path(size.source) / "films.csv", run, _told(f"start {seed}", tell))
    return run


def _adapted(unit: Unit, size: Size, starts: Sequence[Path], tell: Tell) -> Path | None:
    """The run folder of an adaptation; None of a trial whose loss did not stay finite, which is no reason to stop."""
    from trainer.commands import run_training

    config, films = settings(unit, size), joined(size.source, unit.cohort(size), unit.films)
    run = _run_folder(to_toml(config), films.stem, *(start.name for start in starts))
    try:
        with alone(run):
            run_training(config, films, run, _told(unit.name, tell), starts)
    except UsageError as error:
        if unit.domain != VALIDATION or "not finite" not in str(error):
            raise
        tell(f"{unit.name}: {error}")
        return None
    return run


def _told(name: str, tell: Tell) -> Callable[[dict[str, float], int, float], None]:
    def told(line: dict[str, float], epochs: int, left_s: float) -> None:
        if int(line["epoch"] + 1) % max(1, epochs // 4) == 0:
            tell(f"{name}  epoch {line['epoch'] + 1:g}/{epochs}  left {left_s / 60:.0f} min")

    return told


def _run_folder(*what: str) -> Path:
    return phantom_cache().parent / "runs" / sha256("\n".join(what).encode()).hexdigest()[:16]


def joined(source: CohortConfig, domain: CohortConfig, films: int) -> Path:
    """A film table of the labelled films and the first unlabelled ones of a domain, in the cache folder beside both."""
    place = phantom_cache() / f"{source.digest()}-{domain.digest()}-{films}.csv"
    if not place.is_file():
        rows = _from(source, read_table(cohort_path(source) / "films.csv"))
        write_table(place, rows + _from(domain, unlabelled(domain)[:films]))
    return place


def _from(cohort: CohortConfig, rows: Sequence[HipRow]) -> list[HipRow]:
    """The rows as a table beside the cohort has them; subjects of two cohorts are two."""
    name = cohort.digest()
    return [replace(row, film=f"{name}/{row.film}", subject=f"{name[:6]}-{row.subject}") for row in rows]


def unlabelled(domain: CohortConfig) -> list[HipRow]:
    """The films of a domain that may be learned from, the rows of a smaller number first."""
    return [row for row in read_table(cohort_path(domain) / "films.csv") if row.split == "unlabelled"]


def judging(domain: CohortConfig) -> list[HipRow]:
    """The labelled films of a domain: they judge, nothing learns from them."""
    return [row for row in read_table(cohort_path(domain) / "films.csv") if row.split != "unlabelled"]


def measured(unit: Unit, size: Size, parent: Path, run: Path) -> dict[str, Any]:
    """Estimates and half intervals for the domain's labelled hips, g/cm2; mean RMSE there and on the labelled makers'.

    The interval is that of the labelled makers' calibration films, and nowhere narrower on average than the parent's.
    """
    found = {"own": _answers(run, size, unit.cohort(size), unit.films)}
    if run != parent:
        found["parent"] = _answers(parent, size, unit.cohort(size), unit.films)
    label = found["own"]["source"].dexa
    scales = {who: _scale(one["source"], label) for who, one in found.items()}
    scale, own = scales["own"], found["own"]
    if "parent" in found:
        half = [scales["parent"] * found["parent"][name].spread for name in ("source", "free")]
        scale = np.maximum(scale, least_scale(half, [own[name].spread for name in ("source", "free")]))
    target = own["target"]
    return {
        "rmse_gcm2": _rmse(target.bmd, target.dexa),
        "source_rmse_gcm2": _rmse(own["source"].bmd, label),
        "estimates_gcm2": target.bmd.round(4).tolist(),
        "half_gcm2": (scale * target.spread).round(4).tolist(),
    }


class _Answers(NamedTuple):
    """DEXA of hips, NaN where there is none, and what a network says: all (n, sites), g/cm2."""

    dexa: F64
    bmd: F64
    spread: F64


@lru_cache(maxsize=4)
def _answers(run: Path, size: Size, domain: CohortConfig, films: int) -> dict[str, _Answers]:
    """Of the labelled makers' calibration films, of a domain's first unlabelled ones, and of those that judge. Kept:
    all rows of a seed have one parent.
    """
    from trainer.images.roi_files import read_rois
    from trainer.methods.supervised import estimates
    from trainer.networks.build import load_run

    network, spec = load_run(run), start_settings(size, 0).spec
    held = [row for row in read_table(cohort_path(size.source) / "films.csv") if row.split == "calibrate"]
    rows = {"source": held, "free": unlabelled(domain)[: max(films, 1)], "target": judging(domain)}
    found = {}
    for name, some in rows.items():
        rois = read_rois(some, labelled=name != "free")
        parts = (rois.labels_gcm2, *estimates(network, rois, spec=spec))
        found[name] = _Answers(*(part.astype(np.float64) for part in parts))
    return found


def _scale(answers: _Answers, label: F64) -> F64:
    columns = range(len(SITES))
    return np.array([conformal_scale(answers.bmd[:, k] - label[:, k], answers.spread[:, k], COVERAGE) for k in columns])


def _rmse(bmd: F64, label: F64) -> dict[str, float]:
    found = {}
    for column, site in enumerate(SITES):
        known = np.isfinite(label[:, column])
        found[site] = round(plain_figures(bmd[known, column], label[known, column])["rmse_gcm2"], 5)
    return found


def write_films(size: Size, domains: Sequence[str], out: Path) -> None:
    """Keep labels, subjects and populations of the domains that judge in OUT/films.json."""
    facts: dict[str, Any] = {}
    for name in domains:
        rows = judging(size.domain(name))
        labels = [[row.bmd_gcm2[site] for site in SITES] for row in rows]
        population = [row.extra.get("x_population", "") for row in rows]
        facts[name] = {"subject": [row.subject for row in rows], "labels_gcm2": labels, "population": population}
    out.mkdir(parents=True, exist_ok=True)
    with replace_file(out / "films.json") as file:
        file.write(json.dumps(facts) + "\n")
