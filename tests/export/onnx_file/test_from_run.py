import numpy as np

from bmd_edge.bundle.network_input import BMD
from export.onnx_file.from_run import golden_input


def test_golden_inputs_are_made_up_and_always_the_same() -> None:
    image = golden_input(BMD)
    assert image.shape == (2, 1, 112, 112)
    assert (image.min(), image.max()) == (0, 1)
    np.testing.assert_array_equal(image, golden_input(BMD))
    assert np.abs(image[0] - image[1]).mean() > 0.05
