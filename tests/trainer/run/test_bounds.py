import dataclasses
import math
from typing import Any

import pytest

from trainer.run.bounds import Above, AtLeast, Between, Bound, Folder, OneOf
from trainer.run.settings import TASKS, BmdConfig, Config, bounds, check_values
from trainer.run.settings_file import to_toml


@pytest.mark.parametrize("kind", TASKS.values())
def test_every_number_and_word_has_a_bound_that_its_default_keeps(kind: type[Config]) -> None:
    """Also one that a subclass sets anew, which replaces the annotation."""
    limits, config = bounds(kind), kind()
    for field in dataclasses.fields(kind):
        value = getattr(config, field.name)
        if type(value) in (int, float, str):
            assert limits[field.name].allows(value)
    check_values(config, "default")


@pytest.mark.parametrize(
    ("bound", "inside", "outside"),
    [
        (Above(0), (1e-9, 7), (0, -1, math.nan, math.inf)),
        (Above(0, at_most=1), (1e-9, 1), (0, 1.01, math.nan)),
        (AtLeast(0), (0, 7), (-1e-9, math.nan, math.inf)),
        (Between(0, 1), (0, 1), (-1e-9, 1.01, math.nan)),
        (OneOf("a", "b"), ("a", "b"), ("c", "")),
        (Folder(), ("", "runs/first"), ("a\nb", 3)),
    ],
    ids=str,
)
def test_edges_of_bounds(bound: Bound, inside: tuple[Any, ...], outside: tuple[Any, ...]) -> None:
    assert all(bound.allows(value) for value in inside)
    assert not any(bound.allows(value) for value in outside)


def test_bounds_stand_below_the_explanations() -> None:
    text = to_toml(BmdConfig(), explained=True)
    assert (
        "# CPU threads; two trainings side by side with one each beat one with two.\n# Must be above 0.\nthreads"
        in text
    )
    assert "# Backbone.\n# Must be one of resnet18, vgg11_se, effnet_lite0.\nnetwork" in text
