import dataclasses
from pathlib import Path
from typing import cast

import pytest

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.bundle.network_input import BMD
from bmd_edge.engine.base import Engine
from bmd_edge.errors import BundleError, TableError, UsageError
from export.bundle import finder_limits
from export.bundle.finder import finder_from_bundle, finder_from_run
from tests.support.small_runs import MADE_UP


def test_a_bundles_finder_is_taken_over(made: tuple[Path, VerifiedBundle]) -> None:
    _, bundle = made
    part = finder_from_bundle(bundle)
    assert part.onnx == bundle.model_bytes("finder")
    assert part.plausibility == MADE_UP
    assert part.facts == {"network": "finder", "bundle_digest": bundle.digest}
    other = dataclasses.replace(bundle, inputs={**bundle.inputs, "finder_survey": BMD})
    with pytest.raises(BundleError, match="reads finder_survey in another way"):
        finder_from_bundle(other)


def test_a_finder_is_measured_on_splits_that_there_are_and_on_enough_hips(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--finder-split: 'vall' is not one of train, val, .*did you mean val\?"):
        finder_from_run(tmp_path, tmp_path / "films.csv", ["vall"])
    with pytest.raises(TableError, match=r"there are 0: name a table of the phantom with --finder-table"):
        finder_limits.measure(cast("Engine", None), [])
