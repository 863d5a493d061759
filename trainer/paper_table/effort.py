"""What a table will make before it stands, and about how long that takes."""

from collections.abc import Iterator
from pathlib import Path

from trainer.paper_table.units import TableSize, Unit, run_folder, settings, trials, units
from trainer.phantom.cohort.plan import CohortConfig, cohort_path, items
from trainer.run.settings import SemiConfig, pretraining

FILM_CPU_S, TRAINING_MINUTES = 0.5, 5.0
"""Of one film, and of one training at full scale in one thread: what the committed table took, about."""


def work(size: TableSize, folder: Path, workers: int) -> Iterator[str]:
    """Two sentences: films and trainings that are missing, and the minutes that `workers` processes take for them.

    Which setting of a row goes on is known after its trials only; both take as long.
    """
    films = sum(map(missing_films, (size.cohort, size.second_cohort)))
    cores = _counted(workers, "free core")
    yield f"{_counted(films, 'film')} to make, {_about(films * FILM_CPU_S / 60 / workers)} of {cores}"
    plain: dict[str, dict[str, str]] = {recipe: {} for recipe in size.recipes}
    wanted = trials(size.recipes) + units(size, plain)
    runs = {run for unit in wanted if not (folder / f"{unit.name}.json").is_file() for run in runs_of(unit, size)}
    minutes = len(runs) * TRAINING_MINUTES * size.budget / workers
    yield f"{_counted(len(runs), 'training')} to run, {_about(minutes)} of {cores}"


def _counted(n: int, kind: str) -> str:
    return f"{n} {kind}{'' if n == 1 else 's'}"


def _about(minutes: float) -> str:
    return f"about {minutes:.0f} minutes" if minutes >= 1.5 else "a minute or less"


def missing_films(config: CohortConfig) -> int:
    """How many items of a cohort are not there yet."""
    rows = cohort_path(config) / "rows"
    return sum(not (rows / f"{item.number:06d}.json").exists() for item in items(config))


def runs_of(unit: Unit, size: TableSize) -> Iterator[Path]:
    """The run folders of a unit: its own, and those of the supervised trainings that it starts from."""
    config = settings(unit, size)
    yield run_folder(config, size.cohort)
    if isinstance(config, SemiConfig):
        for member in range(config.committee):
            yield run_folder(pretraining(config, member), size.cohort)
