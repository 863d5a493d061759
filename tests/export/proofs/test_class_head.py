"""The thresholds of the class head, on made-up looks whose truth is known, and those of the code."""

import json
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.bundle.manifest import KINDS
from bmd_edge.engine.open import open_engine
from bmd_edge.hips.class_head import SURE_CLOSE_UP, SURE_SURVEY
from export.proofs.class_head import (
    IN_USE,
    NAMED,
    RIGHT,
    Seen,
    judged,
    likelier_than_not,
    looks_at,
    lower_bound,
    specs,
)
from trainer.phantom.film.film import film
from trainer.phantom.film.maker_styles import HELD_OUT_MAKERS, TRAINING_MAKERS
from trainer.phantom.film.scene import FilmSpec

RESULT = Path(__file__).parents[3] / "export/results/class_head.json"


def seen(name: str, said: float, right: bool) -> Seen:
    """A look that gives `name` the probability `said`; `right` says whether it is that class."""
    kind = [(1 - said) / 5] * 6
    kind[KINDS.index(name)] = said
    return Seen("closeup", (name if right else "intact",), tuple(kind))


def test_the_code_names_classes_from_the_measured_probabilities_on() -> None:
    found = json.loads(RESULT.read_text(encoding="utf-8"))
    for look, sure in (("closeup", SURE_CLOSE_UP), ("survey", SURE_SURVEY)):
        measured = {name: found[look][name]["threshold"] for name in NAMED}
        assert {name: p for name, p in measured.items() if p is not None} == sure
    assert (found["wanted_lower_bound"], found["share_in_use"]) == (RIGHT, IN_USE)


def test_the_bound_is_that_of_clopper_and_pearson() -> None:
    for right, n in ((58, 58), (59, 59), (90, 93), (1, 7)):
        assert lower_bound(right, n) == pytest.approx(proportion_confint(right, n, 0.1, method="beta")[0])
    assert lower_bound(0, 9) == 0
    assert lower_bound(58, 58) < RIGHT < lower_bound(59, 59)


def test_a_class_is_named_only_from_where_it_is_right() -> None:
    """Below .9 every second one is wrong; from there on all are right, and enough of them."""
    looks = [seen("fracture", 0.6 + 0.29 * k / 100, bool(k % 2)) for k in range(100)]
    looks += [seen("fracture", 0.92 + 0.07 * k / 80, True) for k in range(80)]
    looks += [seen("intact", 0.95, False)] * 200
    found = judged(looks, "fracture")
    assert found["right_enough_from"] == pytest.approx(0.88, abs=0.021)
    assert found["threshold"] == max(found["right_enough_from"], found["likelier_than_not_from"])
    assert sum(part["n"] for part in found["reliability"]) == len(looks)
    assert sum(part["right"] for part in found["reliability"]) == found["n"] == 130
    assert judged(looks[:100], "fracture")["threshold"] is None
    assert judged([seen("fracture", 0.99, True)] * 50 + looks[-200:], "fracture")["threshold"] is None  # too few


def test_a_rare_class_needs_more_probability() -> None:
    assert likelier_than_not(IN_USE) == 0.5
    p = likelier_than_not(0.2)
    odds = p / (1 - p) * (IN_USE / (1 - IN_USE)) / (0.2 / 0.8)  # Bayes
    assert odds == pytest.approx(1, rel=0.03)
    assert odds >= 1


def test_the_films_hold_every_class_and_held_out_makers() -> None:
    made = specs(8, 3)
    count = {case: sum(spec.case == case for spec in made) for case in KINDS}
    assert count == {**dict.fromkeys(NAMED, 8), "intact": 4, "not_a_hip": 4}
    assert {spec.style in HELD_OUT_MAKERS for spec in made} == {True, False}
    assert {spec.style for spec in made} <= {*TRAINING_MAKERS, *HELD_OUT_MAKERS}
    assert len({spec.seed for spec in made}) == len(made)


def test_a_film_is_looked_at_as_the_runtime_does() -> None:
    bundle = read_bundle()
    made = film(FilmSpec(11, "pelvis", "R", "intact", "bmd", "A", "film", 0.55))
    with open_engine(bundle, "finder", device="cpu", precision="fp32", threads=1) as finder:
        first, *closer = looks_at(made, finder, bundle)
    assert (first.look, first.right) == ("survey", ("intact",))
    assert [(one.look, one.right) for one in closer] == [("closeup", ("intact",))] * 2
    for one in (first, *closer):
        assert len(one.kind) == len(KINDS)
        assert int(np.argmax(one.kind)) == KINDS.index("intact")
