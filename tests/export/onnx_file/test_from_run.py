import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from bmd_edge.bundle.network_input import BMD, InputSpec
from bmd_edge.errors import UsageError
from calibration.fit.stretch import Stretch
from export.onnx_file.from_run import golden_input, onnx_from_run
from trainer.networks.build import build

FINE = InputSpec("bmd", 224, 0.65, 1.0, 99.0)


def test_golden_inputs_are_made_up_and_always_the_same() -> None:
    image = golden_input(BMD)
    assert image.shape == (2, 1, 112, 112)
    assert (image.min(), image.max()) == (0, 1)
    np.testing.assert_array_equal(image, golden_input(BMD))
    assert np.abs(image[0] - image[1]).mean() > 0.05


def test_an_ensemble_of_a_fine_network_and_one_of_pixels_twice_as_wide(tmp_path: Path) -> None:
    fine, coarse = _run(tmp_path / "fine", FINE, fine=True), _run(tmp_path / "coarse", BMD)
    onnx_from_run("bmd", tmp_path / "fine", tmp_path / "both.onnx", [tmp_path / "coarse"])
    image = golden_input(FINE)
    found = onnxruntime.InferenceSession(tmp_path / "both.onnx").run(["bmd"], {"image": image})[0]
    means = torch.nn.functional.avg_pool2d(torch.from_numpy(image), 2)
    with torch.no_grad():
        expected = (fine(torch.from_numpy(image))[0] + coarse(means)[0]) / 2
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def test_a_stretched_ensemble_answers_along_the_line_and_its_spread_grows_with_it(tmp_path: Path) -> None:
    for name in ("first", "another"):
        _run(tmp_path / name, BMD)
    line = Stretch(np.array([1.2, 1.1]), np.array([-0.1, -0.2]))
    answers = []
    for name, stretch in (("plain", None), ("stretched", line)):
        onnx_from_run("bmd", tmp_path / "first", tmp_path / f"{name}.onnx", [tmp_path / "another"], stretch)
        session = onnxruntime.InferenceSession(tmp_path / f"{name}.onnx")
        answers.append(session.run(["bmd", "spread", "embedding"], {"image": golden_input(BMD)}))
    plain, stretched = answers
    np.testing.assert_allclose(stretched[0], line.slope * plain[0] + line.intercept_gcm2, atol=1e-6)
    np.testing.assert_allclose(stretched[1], line.slope * plain[1], rtol=1e-5)
    np.testing.assert_array_equal(stretched[2], plain[2])


def test_an_ensemble_needs_one_input_for_all(tmp_path: Path) -> None:
    _run(tmp_path / "first", BMD)
    _run(tmp_path / "other", InputSpec("bmd", 112, 1.2, 1.0, 99.0))
    with pytest.raises(UsageError, match="other reads another input"):
        onnx_from_run("bmd", tmp_path / "first", tmp_path / "both.onnx", [tmp_path / "other"])


def _run(folder: Path, spec: InputSpec, **more: bool) -> torch.nn.Module:
    torch.manual_seed(len(folder.name))
    folder.mkdir()
    kwargs = {"width": 0.125, "label_mean": [0.8, 0.9], "label_sd": [0.2, 0.2], **more}
    network = build("vgg11_se", **kwargs).eval()
    save_file(network.state_dict(), folder / "checkpoint.safetensors")
    facts = {"network": "vgg11_se", "kwargs": kwargs, "input": spec.facts()}
    (folder / "config.json").write_text(json.dumps(facts))
    return network
