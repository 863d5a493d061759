"""What a cohort holds: its configuration, and the list of films that follows from it."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from bmd_edge.errors import UsageError, none_of
from bmd_edge.system.places import phantom_cache
from trainer.phantom.body.priors import EDITIONS, POPULATIONS
from trainer.phantom.film.maker_styles import HELD_OUT_MAKERS, SITE, STYLES, TRAINING_MAKERS
from trainer.phantom.film.scene import VERSION, FilmSpec

FINDER_ERROR_MM, MAX_FINDER_ERROR_MM = 1.2, 3.0
"""SD and bound of the error of a region's center along each axis: assumed, near what a finder's landmarks err."""
ROI_PIXEL_MM, DICOM_PIXEL_MM = 0.42, 0.3
LEARN_PIXEL_MM, LEARN_RAYS = 0.75, 1
FILM_PIXEL_MM, FILM_RAYS = 1.0, 1
"""Films to learn from are about as fine as they are stored."""
VIEWS_OF_INTACT, VIEWS_TO_REFUSE = 3, 5
"""Views of one person among the whole films: the grids of a body cost more than a view of it. Both divide the blocks
that share a split, so a person is in one split.
"""
SCREENING_EVERY, TURNED_EVERY = 5, 3
"""Of the subjects to learn from, one in so many is of the screening population, and one lies with turned legs."""
STYLES_MIXED = ("wide", "random", "wide", "random", "wide", "random", "wide", "named")
"""Style "mixed": one film in two is of the wide ones, one in eight of a named maker."""
SPLIT_PARTS = (("train", 440), ("val", 150), ("test", 500))
BOTH_HIPS_SHARE = 271 / 819
REFUSAL_CASES = (
    "not_a_hip",
    "implant",
    "fracture",
    "wrong_view",
    "immature",
    "fracture",
    "fracture",
    "cut_off",
    "fracture",
    "immature",
)
"""The mix of the films to refuse; four in ten are fractures and two growing hips, the hardest to see."""
REPEATED = 10
"""Of the DICOM films one in so many is taken in all `poses`, by the same maker: repeats that show the precision."""
FINDER_SPLITS = ("train", "train", "train", "val", "train", "train", "train", "calibrate", "train", "train")
"""Splits of whole films, one per block of films in which every kind of film and pose, or every case, comes once."""


@dataclass(frozen=True, slots=True)
class CohortConfig:
    """What a cohort holds. Counts are subjects (learn), hips (labelled, calibrate, unlabelled), views (pelves,
    refusals) or films (dicom).

    `learn` N gives both hips of N subjects, cut from pelvis films. Of each of their views, and of each view of the
    whole films, `films` K films are taken: the same bones in the same pose, all else anew. `population` ("screening",
    "wide", or "both" mixed) is that of all but the subjects to learn from, most of whom are wide.
    `pelves` N gives N pelvis films and N // 2 single hips in wide poses; `poses` K films of each labelled hip, and of
    one DICOM film in ten, in K poses; `makers` the styles that "named" draws from, see `style_of`; `unseen` adds the
    test films once more, the same in all but the maker, in the styles of the makers that are held out.
    """

    labelled: int = 1090
    calibrate: int = 2000
    unlabelled: int = 8219
    pelves: int = 0
    refusals: int = 0
    dicom: int = 0
    poses: int = 1
    makers: tuple[str, ...] = TRAINING_MAKERS
    style: str = "random"
    seed: int = 0
    unseen: bool = False
    learn: int = 0
    films: int = 1
    population: str = "screening"

    def __post_init__(self) -> None:
        if self.style not in (styles := ("named", "random", "wide", "mixed")):
            raise UsageError(f"--style: {none_of(self.style, styles)}")
        if self.population not in (populations := (*POPULATIONS, "both")):
            raise UsageError(f"--population: {none_of(self.population, populations)}")
        for maker in self.makers:
            if maker not in STYLES and not re.fullmatch(SITE, maker):
                raise UsageError(f"--makers: {none_of(maker, [*STYLES, 'S1, S2 ...'])}")
        if (
            not self.makers
            or min(self.poses, self.films) < 1
            or min(self.labelled, self.calibrate, self.unlabelled, self.pelves, self.refusals, self.dicom, self.learn)
            < 0
        ):
            raise UsageError("counts must not be negative, and at least one pose, one film and one maker are needed")

    def text(self) -> str:
        """The configuration as canonical JSON, with the phantom's version and the constants of this plan."""
        edition = max(n for population, n in EDITIONS.items() if self.population in (population, "both"))
        plan = (
            FINDER_ERROR_MM, MAX_FINDER_ERROR_MM, ROI_PIXEL_MM, FILM_PIXEL_MM, DICOM_PIXEL_MM, SPLIT_PARTS,
            BOTH_HIPS_SHARE, REFUSAL_CASES, FINDER_SPLITS, LEARN_PIXEL_MM, LEARN_RAYS, FILM_RAYS, SCREENING_EVERY,
            TURNED_EVERY, STYLES_MIXED, VIEWS_OF_INTACT, VIEWS_TO_REFUSE, edition,
        )  # fmt: skip
        facts = {**asdict(self), "phantom_version": VERSION, "plan": sha256(json.dumps(plan).encode()).hexdigest()[:8]}
        return json.dumps(facts, sort_keys=True)

    def digest(self) -> str:
        """The configuration hash: 16 hex digits."""
        return sha256(self.text().encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Item:
    """One file to make: its number, its place ("roi", "film" or "dicom"), split, name of the subject, pose name, the
    film, and what was shifted on it, if anything.
    """

    number: int
    place: str
    split: str
    subject: str
    pose: str
    spec: FilmSpec
    condition: str = ""

    @property
    def facts(self) -> dict[str, str]:
        """Further cells of the film table. Of views with several films, equal `x_film` are regions of one film, and
        equal `x_view` are one region's hip, or one person, in one pose: the same bones and the same truth.
        """
        spec, facts = self.spec, {"x_population": self.spec.population}
        if spec.view_seed is not None:
            hip = f"-{spec.side}" if self.place == "roi" else ""
            facts |= {"x_film": str(spec.seed), "x_view": f"{spec.view}{hip}"}
        return facts | ({"x_condition": self.condition} if self.condition else {})

    @property
    def file(self) -> str:
        """Path of the image relative to the cohort's folder."""
        return f"{self.place}/{self.number:06d}.{'dcm' if self.place == 'dicom' else 'png'}"


def cohort_path(config: CohortConfig) -> Path:
    """Where a cohort lies that nobody gave a place: the user's cache folder, under its configuration hash."""
    return phantom_cache() / config.digest()


def items(config: CohortConfig) -> list[Item]:
    """Every item of a cohort, in order; a pure function of the configuration."""
    found: list[Item] = []
    for group in (_labelled, _unseen, _calibrate, _unlabelled, _pelves, _refusals, _dicom, _learn):
        found += [Item(len(found) + k, *rest) for k, rest in enumerate(group(config))]
    return found


Entry = tuple[str, str, str, str, FilmSpec]


def _seed(config: CohortConfig, group: str, k: int) -> int:
    digest = sha256(f"{config.seed}/{group}/{k}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 2


def _style(config: CohortConfig, seed: int) -> str:
    kind = STYLES_MIXED[seed // 11 % len(STYLES_MIXED)] if config.style == "mixed" else config.style
    return config.makers[seed // 7 % len(config.makers)] if kind == "named" else kind


def _population(config: CohortConfig, subject_seed: int) -> str:
    return POPULATIONS[subject_seed // 13 % 2] if config.population == "both" else config.population


def _hips(config: CohortConfig, group: str, count: int) -> Iterator[tuple[int, int, str]]:
    """(number of the subject, seed of the subject, side) of `count` hips; about a third of the subjects bring both."""
    made = k = 0
    while made < count:
        seed = _seed(config, f"{group} subject", k)
        rng = np.random.default_rng([seed, 1])
        sides = ["R", "L"] if rng.random() < 0.5 else ["L", "R"]
        for side in sides[: 2 if rng.random() < BOTH_HIPS_SHARE else 1]:
            if made < count:
                yield k, seed, side
                made += 1
        k += 1


def _labelled(config: CohortConfig) -> Iterator[Entry]:
    total = sum(part for _, part in SPLIT_PARTS)
    edges = np.cumsum([part for _, part in SPLIT_PARTS]) / total * config.labelled
    split_of: dict[int, str] = {}
    for n, (k, subject_seed, side) in enumerate(_hips(config, "labelled", config.labelled)):
        split = split_of.setdefault(k, SPLIT_PARTS[min(int(np.searchsorted(edges, n, side="right")), 2)][0])
        for pose in range(config.poses):
            seed = _seed(config, "labelled film", n * 100 + pose)
            yield "roi", split, f"L{k:05d}", f"bmd-{pose}", _roi(config, seed, side, subject_seed)


def _unseen(config: CohortConfig) -> Iterator[Entry]:
    for place, split, subject, pose, spec in _labelled(config) if config.unseen else ():
        if split == "test":
            style = HELD_OUT_MAKERS[spec.seed // 7 % len(HELD_OUT_MAKERS)]
            yield place, split, subject, pose, replace(spec, style=style)


def _rois(config: CohortConfig, group: str, count: int, letter: str) -> Iterator[Entry]:
    for n, (k, subject_seed, side) in enumerate(_hips(config, group, count)):
        seed = _seed(config, f"{group} film", n)
        yield "roi", group, f"{letter}{k:05d}", "bmd-0", _roi(config, seed, side, subject_seed)


def _roi(config: CohortConfig, seed: int, side: str, subject_seed: int) -> FilmSpec:
    return FilmSpec(
        seed, "hip", side, "intact", "bmd", _style(config, seed), "roi", ROI_PIXEL_MM, subject_seed,
        population=_population(config, subject_seed),
    )  # fmt: skip


def _learn(config: CohortConfig) -> Iterator[Entry]:
    for k in range(config.learn):
        view_seed, pose = _seed(config, "learn view", k), "bmd" if k % TURNED_EVERY else "turned"
        population = "wide" if k % SCREENING_EVERY else "screening"
        for n in range(config.films):
            seed = _seed(config, f"learn film {n}", k)
            for side in "RL":
                spec = FilmSpec(
                    seed, "pelvis", side, "intact", pose, _style(config, seed), "roi", LEARN_PIXEL_MM,
                    view_seed=view_seed, population=population, rays=LEARN_RAYS,
                )  # fmt: skip
                yield "roi", "train", f"V{k:05d}", pose, spec


def _calibrate(config: CohortConfig) -> Iterator[Entry]:
    return _rois(config, "calibrate", config.calibrate, "C")


def _unlabelled(config: CohortConfig) -> Iterator[Entry]:
    return _rois(config, "unlabelled", config.unlabelled, "U")


def _finder_split(block: int) -> str:
    return FINDER_SPLITS[block % len(FINDER_SPLITS)]


def _pelves(config: CohortConfig) -> Iterator[Entry]:
    for k in range(config.pelves + config.pelves // 2):
        seed, person = _seed(config, "pelves", k), k // VIEWS_OF_INTACT
        kind, pose = ("pelvis", "wide" if k % 2 else "bmd") if k % 3 < 2 else ("hip", "wide")
        view = FilmSpec(
            seed, kind, "RL"[seed // 3 % 2], "intact", pose, subject_seed=_seed(config, "pelvis of", person)
        )
        for spec in _whole_films(config, view):
            yield "film", _finder_split(k // 6), f"P{person:05d}", pose, spec


def _refusals(config: CohortConfig) -> Iterator[Entry]:
    block = len(REFUSAL_CASES)
    for k in range(config.refusals):
        seed, person = _seed(config, "refusals", k), k // VIEWS_TO_REFUSE
        case = REFUSAL_CASES[k % block]
        kind = "pelvis" if case not in ("not_a_hip", "cut_off") and seed // 5 % 5 < 2 else "hip"
        view = FilmSpec(seed, kind, "RL"[seed // 3 % 2], case, "wide", subject_seed=_seed(config, "refusal of", person))
        for spec in _whole_films(config, view):
            yield "film", _finder_split(k // block), f"X{person:05d}", case, spec


def _whole_films(config: CohortConfig, view: FilmSpec) -> Iterator[FilmSpec]:
    """The films of one view, all of them in its person's split."""
    for n in range(config.films):
        seed = _seed(config, f"film {n}", view.seed)
        yield replace(
            view, seed=seed, view_seed=view.seed, style=_style(config, seed), pixel_mm=FILM_PIXEL_MM, rays=FILM_RAYS,
            population=_population(config, view.subject),
        )  # fmt: skip


def _dicom(config: CohortConfig) -> Iterator[Entry]:
    for k in range(config.dicom):
        seed = _seed(config, "dicom", k)
        case = REFUSAL_CASES[k // 8 % len(REFUSAL_CASES)] if k % 8 == 7 else "intact"
        kind = "pelvis" if k % 4 == 2 and case == "intact" else "hip"
        spec = FilmSpec(seed, kind, "RL"[seed // 3 % 2], case, "bmd", _style(config, seed), "film", DICOM_PIXEL_MM)
        spec = replace(spec, population=_population(config, seed))
        for pose in range(config.poses if k % REPEATED == 0 and case == "intact" else 1):
            again = replace(spec, seed=_seed(config, "dicom pose", k * 100 + pose), subject_seed=seed)
            yield "dicom", "test", f"D{k:05d}", case, again if pose else spec
