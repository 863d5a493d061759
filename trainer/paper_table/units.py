"""What the standard experiment trains, and how one unit of it is run.

A unit is a recipe with a seed. It trains in the user's cache folder, under the hash of its settings and its cohort, so
that a killed unit goes on and semi-supervised units of one seed share their pre-training; what it found on the test
films is one small JSON file beside the table.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from bmd_edge.errors import UsageError, nearest
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_file
from bmd_edge.system.places import phantom_cache
from bmd_edge.table.film_table import HipRow, read_table
from trainer.phantom.cohort.plan import CohortConfig, cohort_path
from trainer.phantom.film.maker_styles import HELD_OUT_MAKERS
from trainer.run.settings import BmdConfig, SemiConfig, pretraining
from trainer.run.settings_file import read_config, to_toml

RECIPES = (
    "mse",
    "triplet",
    "adaptive_triplet",
    "pi_model",
    "temporal_ensembling",
    "mean_teacher",
    "self_training",
    "paper",
    "full",
    "rankup",
)
"""The rows of the table, in its order; `full` is the method of `paper` with a committee behind its pseudo BMDs."""
LABELLED, LEAST_LABELLED = 1090, 200
"""Hips of each cohort at full scale, and the least: 27 of 200 choose the checkpoint, a training wants 20."""
ALTERNATIVES: dict[str, dict[str, str]] = {
    "mse": {"weight_decay": "0.1"},
    "triplet": {"triplet_weight": "2.0"},
    "adaptive_triplet": {"triplet_weight": "2.0"},
    "pi_model": {"lr": "1e-3"},
    "temporal_ensembling": {"lr": "1e-3"},
    "mean_teacher": {"lr": "1e-3"},
    "self_training": {"lr": "5e-4"},
    "paper": {"lr": "5e-4"},
    "full": {"lr": "2e-3"},
    "rankup": {"lr": "1e-3"},
}
"""The second of the two settings that each row tries with seed 0, after its recipe; the better on val is kept."""
FULL, SUPERVISED = "full", "mse"
CURVE_LABELS = (110, 220)
UNLABELLED = 8219
ALL_LABELS = {"reveal": "true", "steps": "270", "epochs": "18"}
"""Training on the true labels of all 8,660 hips: about as many steps as one network's two trainings take in all."""


@dataclass(frozen=True, slots=True)
class TableSize:
    """How much of the experiment is run: `budget` 1 is all; less shortens trainings and lists of films alike.

    `recipes` are the rows; the learning curve belongs to the whole table.
    """

    budget: float = 1.0
    seeds: int = 3
    recipes: tuple[str, ...] = RECIPES

    def __post_init__(self) -> None:
        if not 0 < self.budget <= 1 or self.seeds < 1:
            raise UsageError("the budget lies above 0 and at most at 1, and at least one seed is needed")
        unknown = [name for name in self.recipes if name not in RECIPES]
        if unknown or not self.recipes:
            near = "".join(f"{name}: no such recipe{nearest(name, RECIPES)}; " for name in unknown[:1])
            raise UsageError(f"{near}--recipes takes some of {', '.join(RECIPES)}, with commas between them")

    @property
    def whole(self) -> bool:
        """Whether all rows are asked for."""
        return set(self.recipes) == set(RECIPES)

    @property
    def labelled(self) -> int:
        """Labelled hips of each cohort."""
        return max(LEAST_LABELLED, round(self.budget * LABELLED))

    @property
    def cohort(self) -> CohortConfig:
        """The films to learn from and to be tested on; unlabelled ones only where a row learns from them."""
        semi = self.whole or any(isinstance(read_config(recipe), SemiConfig) for recipe in self.recipes)
        count = round(self.budget * UNLABELLED) if semi else 0
        return CohortConfig(labelled=self.labelled, calibrate=0, unlabelled=count, style="named", unseen=True)

    @property
    def second_cohort(self) -> CohortConfig:
        """Labelled hips of other subjects: all of them are tested on."""
        return CohortConfig(labelled=self.labelled, calibrate=0, unlabelled=0, style="named", seed=1)


@dataclass(frozen=True, slots=True)
class Unit:
    """One training: `row` names it in the results, `changes` are settings beyond its recipe's."""

    row: str
    recipe: str
    seed: int
    changes: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"{self.row}-{self.seed}"


def trials(recipes: Sequence[str] = RECIPES) -> list[Unit]:
    """Both settings of every row with seed 0; recipes first, for the others start from their pre-training."""
    first = [Unit(recipe, recipe, 0) for recipe in recipes]
    return first + [Unit(f"{recipe}_alternative", recipe, 0, ALTERNATIVES[recipe]) for recipe in recipes]


def chosen(out: Path, recipes: Sequence[str] = RECIPES) -> dict[str, dict[str, str]]:
    """The setting of each row that was better on the validation films, from the finished trials in OUT."""
    scores = {}
    for unit in trials(recipes):
        facts = json.loads((out / f"{unit.name}.json").read_text())
        scores[unit.name] = facts["best"]["val_score"]
    return {
        recipe: ALTERNATIVES[recipe] if scores[f"{recipe}_alternative-0"] > scores[f"{recipe}-0"] else {}
        for recipe in recipes
    }


def units(size: TableSize, better: dict[str, dict[str, str]]) -> list[Unit]:
    """What follows the trials: the other seeds of every row, and the learning curve, each with the better setting."""
    found = [
        Unit(_row(recipe, better), recipe, seed, better[recipe])
        for seed in range(1, size.seeds)
        for recipe in size.recipes
    ]
    if not size.whole:
        return found
    for labels in CURVE_LABELS:
        found += [
            Unit(f"{recipe}_{labels}", recipe, 0, {**better[recipe], "labels": str(labels)})
            for recipe in (SUPERVISED, FULL)
        ]
    return [*found, Unit(f"{SUPERVISED}_all", SUPERVISED, 0, {**better[SUPERVISED], **ALL_LABELS})]


def _row(recipe: str, better: dict[str, dict[str, str]]) -> str:
    return f"{recipe}_alternative" if better[recipe] else recipe


def settings(unit: Unit, size: TableSize) -> BmdConfig:
    """The unit's settings in a table of this size: its steps are the budget's share of the whole table's.

    An epoch over labelled hips is shorter by itself where they are fewer.
    """
    config = read_config(unit.recipe, {**unit.changes, "seed": str(unit.seed)})
    assert isinstance(config, BmdConfig)
    by_hips = size.budget * LABELLED / size.labelled
    by_itself = by_hips if not config.steps else size.budget
    shorter = {"epochs": str(max(1, round(config.epochs * by_itself)))}
    if isinstance(config, SemiConfig):
        shorter["pretrain_epochs"] = str(max(1, round(config.pretrain_epochs * by_hips)))
    shortened = read_config(unit.recipe, {**unit.changes, "seed": str(unit.seed), **shorter})
    assert isinstance(shortened, BmdConfig)
    return shortened


def run_folder(config: BmdConfig, cohort: CohortConfig) -> Path:
    """Where these settings train on this cohort."""
    digest = sha256(f"{to_toml(config)}{cohort.digest()}".encode()).hexdigest()[:16]
    return phantom_cache().parent / "runs" / digest


def run_unit(unit: Unit, config: BmdConfig, size: TableSize, out: Path, tell: Callable[[str], None]) -> None:
    """Train a unit by its settings, or finish it, and write its estimates to OUT/NAME.json; nothing to do if that
    stands.

    `tell` hears a line every few epochs.
    """
    from trainer.commands import run_training

    place = out / f"{unit.name}.json"
    if place.is_file():
        return

    def told(line: dict[str, float], epochs: int, left_s: float) -> None:
        if int(line["epoch"] + 1) % max(1, epochs // 10) == 0:
            tell(f"{unit.name}  epoch {line['epoch'] + 1:g}/{epochs}  left {left_s / 60:.0f} min")

    def trained(config: BmdConfig, committee: Sequence[Path] = ()) -> tuple[Path, dict[str, float]]:
        run = run_folder(config, size.cohort)
        with alone(run):
            return run, run_training(config, cohort_path(size.cohort) / "films.csv", run, told, committee)

    committee: list[Path] = []
    if isinstance(config, SemiConfig):
        committee = [trained(pretraining(config, member))[0] for member in range(config.committee)]
    run, best = trained(config, committee)
    facts = {
        "row": unit.row,
        "recipe": unit.recipe,
        "seed": unit.seed,
        "settings": to_toml(config),
        "phantom_config": size.cohort.digest(),
        "second_phantom_config": size.second_cohort.digest(),
        "best": best,
        "minutes_of_runs": {one.name: round(seconds(one) / 60, 1) for one in (*committee, run)},
        "estimates_gcm2": estimates(config, run, size),
    }
    out.mkdir(parents=True, exist_ok=True)
    with replace_file(place) as file:
        file.write(json.dumps(facts) + "\n")


def check_units(folder: Path, size: TableSize) -> None:
    """UsageError if a finished unit in the folder is none of this table's, or was trained with other settings or on
    other films than would be used now.
    """
    finished = sorted(folder.glob("*-*.json"))
    if {unit.name for unit in trials(size.recipes)} <= {place.stem for place in finished}:
        choices = [chosen(folder, size.recipes)]
    else:
        choices = [{recipe: {} for recipe in RECIPES}, ALTERNATIVES]
    wanted: dict[str, list[str]] = {}
    for unit in [*trials(size.recipes), *(unit for better in choices for unit in units(size, better))]:
        wanted.setdefault(unit.name, []).append(to_toml(settings(unit, size)))
    for place in finished:
        facts = json.loads(place.read_text())
        if place.stem not in wanted:
            what = "another table"
        elif facts["settings"] not in wanted[place.stem]:
            what = "other settings than this table's"
        elif [facts["phantom_config"], facts["second_phantom_config"]] != [
            cohort.digest() for cohort in (size.cohort, size.second_cohort)
        ]:
            what = "other films than this table's"
        else:
            continue
        raise UsageError(
            f"{place.name} comes from {what}; give the --budget and --recipes it is of, or choose another --out"
        )


def seconds(run: Path) -> float:
    """Wall seconds that the epochs of a run took; 0 where there is no run."""
    path = run / "metrics.jsonl"
    return sum(json.loads(line)["seconds"] for line in path.read_text().splitlines()) if path.is_file() else 0.0


def estimates(config: BmdConfig, run: Path, size: TableSize) -> dict[str, list[list[float]]]:
    """What the run's best network says of each set: (femoral neck, total hip), g/cm2, in the order of `test_rows`."""
    from trainer.images.roi_files import read_rois
    from trainer.methods.supervised import estimates as estimate
    from trainer.networks.build import load_run

    network = load_run(run)
    found = {}
    for name, rows in test_rows(size).items():
        bmd, _ = estimate(network, read_rois(rows), config.channels_last)
        found[name] = [[round(float(value), 4) for value in hip] for hip in bmd]
    return found


def test_rows(size: TableSize) -> dict[str, list[HipRow]]:
    """The film table's rows of each set that a unit is measured on: the test hips, the same by makers that nobody
    trained on, and another cohort.
    """
    rows = [row for row in read_table(cohort_path(size.cohort) / "films.csv") if row.split == "test"]
    held_out = [row.extra["x_maker_style"].removeprefix("Synthetic-") in HELD_OUT_MAKERS for row in rows]
    return {
        "test": [row for row, unseen in zip(rows, held_out, strict=True) if not unseen],
        "unseen": [row for row, unseen in zip(rows, held_out, strict=True) if unseen],
        "second": read_table(cohort_path(size.second_cohort) / "films.csv"),
    }


def write_films(size: TableSize, out: Path) -> None:
    """Keep labels and subjects of each set in OUT/films.json, so that the table can be made without the films."""
    facts: dict[str, Any] = {}
    for name, rows in test_rows(size).items():
        labels = np.array([[row.bmd_gcm2[site] for site in SITES] for row in rows], float)
        facts[name] = {"subject": [row.subject for row in rows], "labels_gcm2": labels.tolist()}
    out.mkdir(parents=True, exist_ok=True)
    with replace_file(out / "films.json") as file:
        file.write(json.dumps(facts) + "\n")


@contextmanager
def alone(run: Path) -> Iterator[None]:
    """Wait until no other process trains in this folder."""
    run.mkdir(parents=True, exist_ok=True)
    handle = os.open(run / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
