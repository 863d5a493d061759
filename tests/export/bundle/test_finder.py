import dataclasses
from pathlib import Path

import pytest

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.bundle.network_input import BMD
from bmd_edge.errors import BundleError
from export.bundle.finder import finder_from_bundle
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
