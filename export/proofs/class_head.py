"""How sure the finder's class head must be before its word is said, on fresh phantom films; all figures synthetic.

For each class a reliability curve (how often the class is right, by the probability it gets) and a threshold, the
larger of two. From the first on, the head, naming this class, is right so often that the lower 95 % bound (one-sided,
Clopper & Pearson 1934) of that share reaches `RIGHT`; where no probability is enough the class is never named. From the
second on, the class is likelier than not where only `IN_USE` of the hips have it: these films hold many more of them
than a clinic sees, and the odds shrink by as much as the class is rarer.

The classes to name come equally often, intact hips and films of other body parts half as often each; half of the films
are in styles of held-out makers. Of the close-up every hip counts that the runtime would look at; of the survey every
film, for films without any hip in it are too few. `bmd_edge.hips.class_head` holds the thresholds.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.bundle.manifest import KINDS
from bmd_edge.engine.base import Engine
from bmd_edge.engine.open import open_engine
from bmd_edge.engine.self_test import self_test
from bmd_edge.hips.finder import FAINT, close_up, survey
from bmd_edge.hips.landmarks import merged
from bmd_edge.system.files import replace_file
from export.bundle.finder_limits import film_of_gray
from export.proofs.phantom_rois import run
from trainer.phantom.film.film import PhantomFilm, film
from trainer.phantom.film.maker_styles import HELD_OUT_MAKERS, TRAINING_MAKERS
from trainer.phantom.film.scene import FilmSpec

NAMED = ("implant", "fracture", "wrong_view", "immature")
RIGHT = 0.95
IN_USE = 0.01
EDGES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 1.0)
THRESHOLDS = (*(round(0.5 + 0.02 * k, 2) for k in range(25)), 0.99, 0.995, 0.999)
"""From .5 on, so that no two classes can both be said."""

_FIRST_SEED = 6_000_000_000  # apart from cohorts (62 bits, hashed), scores (3e9) and shifted films (5e9)
_PIXEL_MM = 0.55  # of the whole films that finders are trained on


@dataclass(frozen=True, slots=True)
class Seen:
    """One look: what it was at ("closeup" or "survey"), the classes that are right, the head's probabilities (6,)."""

    look: str
    right: tuple[str, ...]
    kind: tuple[float, ...]


def specs(n: int, seed: int) -> list[FilmSpec]:
    """`n` films of each class to name, in styles of known and of held-out makers; one in five shows a whole pelvis."""
    made = []
    for k in range(n):
        for place, case in enumerate(KINDS):
            if case not in NAMED and k % 4 > 1:
                continue
            number = _FIRST_SEED + 1_000_000 * seed + len(KINDS) * k + place
            draw = np.random.default_rng([seed, k, place])
            kind = "pelvis" if case != "not_a_hip" and draw.random() < 0.2 else "hip"
            pose = "wide" if draw.random() < 0.5 else "bmd"
            style = str(draw.choice(HELD_OUT_MAKERS if k % 2 else TRAINING_MAKERS))
            made.append(FilmSpec(number, kind, str(draw.choice(["R", "L"])), case, pose, style, "film", _PIXEL_MM))
    return made


def looks(spec: FilmSpec) -> list[Seen]:
    """What the class head says of one fresh film, in a worker."""
    bundle, finder = _opened[0]
    return looks_at(film(spec), finder, bundle)


def looks_at(made: PhantomFilm, finder: Engine, bundle: VerifiedBundle) -> list[Seen]:
    """The survey of a film, and the close-ups that the runtime would make of its hips."""
    shown = film_of_gray(np.round(made.bone_bright() * 65535).astype(np.uint16), made.spacing_mm)
    surveys = survey(shown, finder, bundle.inputs)
    kinds = {hip.side: hip.kind for hip in made.hips} or dict.fromkeys("RL", "not_a_hip")
    first = np.stack([look.kind for look in surveys]).max(axis=0)
    seen = [Seen("survey", tuple(sorted(set(kinds.values()))), tuple(first.round(4).tolist()))]
    least = FAINT * bundle.manifest.plausibility.min_peak
    best = max(look.score for look in surveys)
    for side, look in zip("RL", surveys, strict=True):
        wanted = look.score >= bundle.manifest.plausibility.min_peak or least <= look.score == best
        if wanted and side in kinds:
            kind = merged(close_up(shown, finder, bundle.inputs, side, look.points_px)).kind
            seen.append(Seen("closeup", (kinds[side],), tuple(kind.round(4).tolist())))
    return seen


_opened: list[tuple[VerifiedBundle, Engine]] = []


def _open(folder: Path | None) -> None:
    """Give this worker its finder."""
    bundle = read_bundle(folder)
    finder = open_engine(bundle, "finder", device="cpu", precision="fp32", threads=1)
    self_test(bundle, "finder", finder)
    _opened.append((bundle, finder))


def lower_bound(right: int, n: int) -> float:
    """The lower 95 % bound of a share, one-sided (Clopper & Pearson 1934)."""
    return float(beta.ppf(0.05, right, n - right + 1)) if right else 0.0


def judged(seen: Sequence[Seen], name: str) -> dict[str, Any]:
    """Reliability curve and threshold of one class; the threshold is None where no probability is enough."""
    said = np.array([look.kind[KINDS.index(name)] for look in seen])
    true = np.array([name in look.right for look in seen])
    curve = []
    for low, high in pairwise(EDGES):
        held = (said >= low) & ((said < high) | (high == EDGES[-1]))
        mean = round(float(said[held].mean()), 4) if held.any() else None
        curve.append({"from": low, "to": high, "n": int(held.sum()), "right": int(true[held].sum()), "mean_p": mean})
    enough = next((p for p in THRESHOLDS if lower_bound(*_named(said, true, p)) >= RIGHT), None)
    facts: dict[str, Any] = {"n": int(true.sum()), "reliability": curve, "right_enough_from": enough}
    facts["likelier_than_not_from"] = likelier_than_not(float(true.mean()))
    facts["threshold"] = None if enough is None else max(enough, facts["likelier_than_not_from"])
    if enough is not None:
        right, n = _named(said, true, facts["threshold"])
        facts |= {"named": n, "named_right": right, "recalled": round(right / int(true.sum()), 4)}
    return facts


def _named(said: NDArray[np.float64], true: NDArray[np.bool_], least: float) -> tuple[int, int]:
    """How many looks with at least this probability are right, and how many there are."""
    return int(true[said >= least].sum()), int((said >= least).sum())


def likelier_than_not(share: float) -> float:
    """The probability that becomes one half where a class is not `share` of the looks but `IN_USE`; rounded up."""
    odds = share / (1 - share) * (1 - IN_USE) / IN_USE
    return math.ceil(1000 * odds / (1 + odds)) / 1000


def main(arguments: Sequence[str], say: Callable[[str], object]) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m export.proofs.class_head", description=__doc__.splitlines()[0])
    parser.add_argument("bundle", nargs="?", type=Path, help="bundle folder; default the embedded one")
    parser.add_argument("--n", type=int, default=72, help="films of each class to name")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the figures")
    asked = parser.parse_args(arguments)
    started, films = time.monotonic(), specs(asked.n, asked.seed)
    with ProcessPoolExecutor(asked.workers, get_context("spawn"), _open, (asked.bundle,)) as pool:
        seen = [look for some in pool.map(looks, films, chunksize=4) for look in some]
    bundle = read_bundle(asked.bundle)
    figures = {look: proved([one for one in seen if one.look == look]) for look in ("closeup", "survey")}
    facts = {
        "command": f"python -m export.proofs.class_head --n {asked.n} --seed {asked.seed}",
        "synthetic": True,
        "bundle": bundle.manifest.version,
        "bundle_digest": bundle.digest,
        "films": len(films),
        "films_of_held_out_makers": sum(spec.style in HELD_OUT_MAKERS for spec in films),
        "wanted_lower_bound": RIGHT,
        "share_in_use": IN_USE,
        **figures,
    }
    with replace_file(asked.out) as file:
        file.write(json.dumps(facts, indent=1, allow_nan=False) + "\n")
    for look, found in figures.items():
        for name in NAMED:
            one = found[name]
            say(f"{look} {name}: from {one['threshold']} on, {one.get('named_right')} of {one.get('named')} right")
    say(f"{len(films)} films in {time.monotonic() - started:.0f} s")
    return 0


def proved(seen: Sequence[Seen]) -> dict[str, Any]:
    """The figures of one look."""
    return {"looks": len(seen), **{name: judged(seen, name) for name in NAMED}}


if __name__ == "__main__":
    run(main)
