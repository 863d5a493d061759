"""What the experiment of adaptation compares: where labels are, where none is, and which recipes get how many trials.

Labels are those of the named makers A to E and the screening population, and every network starts from a training on
these alone. Three domains have none. A site is what a clinic has: one display chain far beyond any maker, the same on
all its films, and people as those with labels; each seed has a site of its own. On films of "makers", which are held
out, and of "chains", another far one on each film, half of the hips are of the wide population, which no label has.
Settings are chosen on a fourth domain, of another maker and of the wide population alone.
"""

import json
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from bmd_edge.errors import UsageError
from trainer.phantom.cohort.plan import CohortConfig
from trainer.phantom.film.maker_styles import HELD_OUT_MAKERS
from trainer.run.settings import BmdConfig, SemiConfig
from trainer.run.settings_file import read_config

TESTED = ("sites", "makers", "chains")
"""The domains that judge."""
FIRST_SITE = 11
"""Number of the site of seed 0; those before were looked at when the experiment was planned."""
VALIDATION = "validation"
"""The domain that chooses each row's setting; its labels decide nothing else."""
LABELLED, CALIBRATE, UNLABELLED, JUDGING = 1090, 600, 1000, 500
"""At full scale: labelled hips of the named makers, those that set the interval, unlabelled hips of a domain, and its
labelled ones that judge."""
CURVE = {"sites": (50, 200, 1000), "chains": (1000, 4000)}
"""Unlabelled hips of the learning curves, by domain: how few do, and whether more bring more where every film is of
another chain."""
POOL = 6
"""Networks on the labelled films alone, of as many seeds: each row starts from that of its seed, and a committee is all
of them, its first member that of the seed."""
MOST_SEEDS = 3

_SEEN = {"disc_share": "0.6", "train_splits": '["train", "test"]'}
_VARIED = {"augment": "0.5", "other_films": "1.0", "reread_share": "0.5"}
START = {
    **_SEEN, **_VARIED, "batch": "32", "epochs": "60", "lr": "2e-3", "weight_decay": "0.1", "validate_every": "5",
}  # fmt: skip
"""Settings of a start beyond those of `adaptive_triplet`: films are varied as for the embedded network, so that an
adaptation has to beat a network that was made robust without any film of the domain."""
ADAPTING = {
    **_SEEN, **_VARIED, "pretrain_epochs": "0", "keep": "last", "statistics": "unlabelled", "epochs": "4",
    "steps": "50", "validate_every": "2", "lr": "5e-4", "weight_decay": "0.1",
}  # fmt: skip
"""Settings of every adaptation before its own."""
_BOTH = {"statistics": "both"}
NONE, STATISTICS = "none", "statistics"


class Row(NamedTuple):
    """A recipe with settings of its own, and the settings that its trials change; the first trial changes none."""

    recipe: str
    own: dict[str, str]
    trials: tuple[dict[str, str], ...]


def _row(recipe: str, own: dict[str, str], *trials: dict[str, str]) -> Row:
    return Row(recipe, {**ADAPTING, **own}, ({}, *trials, _BOTH))


_ONE_VIEW = {"batch": "8", "unlabelled_batch": "16"}
_TWO_VIEWS = {"batch": "8", "unlabelled_batch": "8"}
_PSEUDO = {"batch": "8", "unlabelled_batch": "8", "unlabelled_weight": "8"}
_STILL = {
    "labelled_weight": "0", "lr": "1e-4", "weight_decay": "0", "epochs": "1", "steps": "20", "unlabelled_batch": "48",
    "augment": "0", "other_films": "0",
}  # fmt: skip
ROWS = {
    STATISTICS: _row("statistics", _STILL, {"steps": "5"}, {"steps": "60"}),
    "continued": _row("statistics", {**_ONE_VIEW, "labelled_weight": "1"}, {"lr": "1.5e-3"}, {"lr": "1.5e-4"}),
    "pi_model": _row("pi_model", _TWO_VIEWS, {"unlabelled_weight": "0.1"}, {"lr": "1.5e-3"}),
    "mean_teacher": _row("mean_teacher", _ONE_VIEW, {"unlabelled_weight": "0.1"}, {"lr": "1.5e-3"}),
    "self_training": _row("self_training", _PSEUDO, {"max_regenerations": "0"}, {"lr": "1.5e-3"}),
    "paper": _row("paper", _PSEUDO, {"max_regenerations": "0"}, {"lr": "1.5e-3"}),
    "full": _row(
        "full", {"committee": str(POOL), "unlabelled_batch": "16"}, {"max_regenerations": "0"}, {"lr": "1.5e-3"}
    ),
    "triplet_both": _row("triplet_both", _TWO_VIEWS, {"triplet_both": "2"}, {"lr": "1.5e-3"}),
    "coral": _row(
        "coral", {**_ONE_VIEW, "unlabelled_weight": "0.1"}, {"unlabelled_weight": "1"}, {"unlabelled_weight": "0.01"}
    ),
    "dare_gram": _row("dare_gram", _ONE_VIEW, {"unlabelled_weight": "0.01"}, {"unlabelled_weight": "0.1"}),
    "subspace": _row(
        "subspace",
        {"labelled_weight": "0", "weight_decay": "0", "unlabelled_batch": "24", "lr": "1e-3"},
        {"lr": "5e-3"},
        {"lr": "2e-4"},
    ),
}
"""The rows by name, beside that of no adaptation (`NONE`). "continued" trains on with the labels, its norms knowing the
unlabelled films: what the methods have to beat that do so too."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is run: `budget` 1 is all; less shortens lists of films and trainings alike. `rows`: some of `ROWS`."""

    budget: float = 1.0
    seeds: int = MOST_SEEDS
    rows: tuple[str, ...] = tuple(ROWS)

    def __post_init__(self) -> None:
        if not 0 < self.budget <= 1 or not 1 <= self.seeds <= POOL:
            raise UsageError(f"the budget lies above 0 and at most at 1, and there are 1 to {POOL} seeds")
        if STATISTICS not in self.rows or set(self.rows) - set(ROWS):
            raise UsageError(f"rows are {STATISTICS} and others of {', '.join(ROWS)}")

    def of(self, count: int, least: int) -> int:
        """The budget's share of a count, and `least` at least."""
        return max(least, round(self.budget * count))

    @property
    def source(self) -> CohortConfig:
        """The labelled films."""
        labelled, calibrate = self.of(LABELLED, 200), self.of(CALIBRATE, 60)
        return CohortConfig(labelled=labelled, calibrate=calibrate, unlabelled=0, style="named", seed=34)

    def domain(self, name: str, seed: int = 0) -> CohortConfig:
        """The films of a domain: its split unlabelled is learned from, its labelled hips are other people's. `seed`:
        which of the sites; all of them film the same people.
        """
        judging, most = self.of(JUDGING, 60), max(self.curve(name)) if name in CURVE else self.films
        plain = CohortConfig(labelled=judging, calibrate=0, unlabelled=most, style="named", population="both", seed=36)
        if name == "sites":
            return replace(plain, makers=(f"S{FIRST_SITE + seed}",), population="screening", seed=39)
        if name == VALIDATION:
            return replace(plain, makers=("F",), population="wide", seed=35)
        return replace(plain, makers=HELD_OUT_MAKERS) if name == "makers" else replace(plain, style="wide", seed=37)

    @property
    def films(self) -> int:
        """Unlabelled hips of a row of the table."""
        return self.of(UNLABELLED, 40)

    @property
    def cohorts(self) -> dict[str, CohortConfig]:
        """All films that are needed, by the name of what they are."""
        sites = {f"site of seed {seed}": self.domain("sites", seed) for seed in range(self.seeds)}
        others = {name: self.domain(name) for name in (VALIDATION, *TESTED) if name != "sites"}
        return {"source": self.source, **sites, **others}

    def curve(self, domain: str) -> tuple[int, ...]:
        """Unlabelled hips of a domain's learning curve."""
        counts = (self.of(count, 40 if count >= UNLABELLED else 20) for count in CURVE[domain])
        return tuple(dict.fromkeys(counts))


@dataclass(frozen=True, slots=True)
class Unit:
    """One training, or one start that is measured (`NONE`): which row, which of its trials, on how many unlabelled hips
    of which domain, and from which start.
    """

    row: str
    domain: str
    films: int
    seed: int
    trial: int = 0
    changes: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"{self.row}-{self.trial}-{self.domain}-{self.films}-{self.seed}"

    def cohort(self, size: Size) -> CohortConfig:
        """The films of its domain."""
        return size.domain(self.domain, self.seed)


def trials(size: Size) -> list[Unit]:
    """Every trial of every row on the domain that chooses, with seed 0."""
    return [
        Unit(row, VALIDATION, size.films, 0, number, changes)
        for row in size.rows
        for number, changes in enumerate(ROWS[row].trials)
    ]


def table(size: Size, chosen: dict[str, int]) -> list[Unit]:
    """The units that judge, each row with its chosen trial; seed after seed, so that a table of one stands first."""
    found = []
    for seed in range(size.seeds):
        for domain in TESTED:
            found.append(Unit(NONE, domain, 0, seed))
            found += [_of(row, domain, size.films, seed, chosen) for row in size.rows]
    return found


def curve(size: Size, chosen: dict[str, int], rows: tuple[str, ...]) -> list[Unit]:
    """The units of the learning curves that are not in the table."""
    return [
        _of(row, domain, films, seed, chosen)
        for domain in CURVE
        for films in size.curve(domain)
        if films != size.films
        for seed in range(size.seeds)
        for row in rows
    ]


def _of(row: str, domain: str, films: int, seed: int, chosen: dict[str, int]) -> Unit:
    return Unit(row, domain, films, seed, chosen[row], ROWS[row].trials[chosen[row]])


def start_settings(size: Size, seed: int) -> BmdConfig:
    """Settings of the start with this seed."""
    epochs = str(size.of(int(START["epochs"]), 1))
    config = read_config("adaptive_triplet", {**START, "epochs": epochs, "seed": str(seed)})
    assert isinstance(config, BmdConfig)
    return config


def settings(unit: Unit, size: Size) -> SemiConfig:
    """Settings of an adaptation; a smaller budget has fewer steps."""
    given = {**ROWS[unit.row].own, **unit.changes, "seed": str(unit.seed)}
    given["steps"] = str(size.of(int(given["steps"]), 2))
    config = read_config(ROWS[unit.row].recipe, given)
    assert isinstance(config, SemiConfig)
    return config


def starts_of(unit: Unit) -> list[int]:
    """Seeds of the starts that a unit needs, that which it adapts first."""
    committee = unit.row != NONE and int(ROWS[unit.row].own.get("committee", "1")) > 1
    return [(unit.seed + k) % POOL for k in range(POOL if committee else 1)]


def starts(size: Size) -> list[int]:
    """Seeds of all starts that the units need."""
    return sorted({seed for unit in table(size, dict.fromkeys(size.rows, 0)) for seed in starts_of(unit)})


def facts(size: Size) -> dict[str, object]:
    """What the result says of its domains: the configuration of each cohort."""
    return {name: json.loads(config.text()) for name, config in size.cohorts.items()}
