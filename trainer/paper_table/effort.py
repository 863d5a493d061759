"""What a table will make before it stands, and about how long that takes."""

from collections.abc import Iterator
from pathlib import Path

from bmd_edge.system.places import phantom_cache
from trainer.paper_table.units import TableSize, Unit, run_folder, settings, trials, units
from trainer.phantom.cohort.plan import CohortConfig, cohort_path, items
from trainer.run.settings import SemiConfig, pretraining

FILM_CPU_S, TRAINING_MINUTES = 0.5, 5.0
"""Of one film, and of one training at full scale in one thread: what the committed table took, about."""


def work(size: TableSize, folder: Path, workers: int) -> Iterator[str]:
    """Three sentences: films and trainings that are missing, the minutes that `workers` processes take for them, and
    where both are kept: another folder of results takes them over.

    Which setting of a row goes on is known after its trials only; both take as long.
    """
    cohorts = (size.cohort, size.second_cohort)
    films = sum(map(missing_films, cohorts))
    cores = _counted(workers, "free core")
    there = sum(len(items(config)) for config in cohorts) - films
    yield f"{_counted(films, 'film')} to make, {_about(films * FILM_CPU_S / 60 / workers)} of {cores}{_there(there)}"
    plain: dict[str, dict[str, str]] = {recipe: {} for recipe in size.recipes}
    wanted = trials(size.recipes) + units(size, plain)
    runs = {run: n for unit in wanted if not (folder / f"{unit.name}.json").is_file() for run, n in runs_of(unit, size)}
    missing = [run for run, epochs in runs.items() if epochs_done(run) < epochs]
    minutes = len(missing) * TRAINING_MINUTES * size.budget / workers
    trained = _there(len(runs) - len(missing))
    yield f"{_counted(len(missing), 'training')} to run, {_about(minutes)} of {cores}{trained}"
    yield f"films and trainings stay in {phantom_cache().parent} (XDG_CACHE_HOME names another place)"


def _there(n: int) -> str:
    return f"; {n} there from before" if n else ""


def _counted(n: int, kind: str) -> str:
    return f"{n} {kind}{'' if n == 1 else 's'}"


def _about(minutes: float) -> str:
    return f"about {minutes:.0f} minutes" if minutes >= 1.5 else "a minute or less"


def missing_films(config: CohortConfig) -> int:
    """How many items of a cohort are not there yet."""
    rows = cohort_path(config) / "rows"
    return sum(not (rows / f"{item.number:06d}.json").exists() for item in items(config))


def runs_of(unit: Unit, size: TableSize) -> Iterator[tuple[Path, int]]:
    """Run folder and epochs of a unit's own training, and of the supervised ones that it starts from."""
    config = settings(unit, size)
    yield run_folder(config, size.cohort), config.epochs
    if isinstance(config, SemiConfig):
        for member in range(config.committee):
            first = pretraining(config, member)
            yield run_folder(first, size.cohort), first.epochs


def epochs_done(run: Path) -> int:
    """How many epochs a run has finished; a killed one goes on after them."""
    path = run / "metrics.jsonl"
    return len(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else 0
