import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bmd_edge.errors import UsageError
from trainer.networks.build import build
from trainer.networks.take_over import load_fine, take_over


@pytest.fixture
def run(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = build("vgg11_se", width=0.125)
    network(torch.rand(4, 1, 112, 112))  # moves the running means away from 0 and 1
    (tmp_path / "config.json").write_text(json.dumps({"network": "vgg11_se", "kwargs": {"width": 0.125}}))
    save_file(network.state_dict(), tmp_path / "checkpoint.safetensors")
    return tmp_path


@pytest.mark.parametrize("width", [0.125, 0.25, 0.5])
@pytest.mark.parametrize("fine", [False, True])
def test_a_larger_network_starts_with_the_same_answers(run: Path, width: float, fine: bool) -> None:
    network, before = build("vgg11_se", width=width, fine=fine), build("vgg11_se", width=0.125)
    take_over(before, run)
    take_over(network, run)
    image = torch.rand(4, 1, 224, 224)
    means = torch.nn.functional.avg_pool2d(image, 2)
    with torch.no_grad():
        found, expected = network.eval()(image if fine else means), before.eval()(means)
    for said, wanted in zip(found[:2], expected[:2], strict=True):
        assert torch.allclose(said, wanted, atol=1e-5)


def test_copies_of_a_channel_learn_apart(run: Path) -> None:
    network = build("vgg11_se", width=0.25)
    take_over(network, run)
    network(torch.rand(4, 1, 112, 112))[0].sum().backward()
    gradient = network.get_parameter("backbone.2.0.weight").grad
    assert gradient is not None
    one, other = gradient.chunk(2, dim=0)
    assert (one - other).abs().mean() > 0.05 * one.abs().mean()


def test_the_fine_form(run: Path) -> None:
    before = build("vgg11_se", width=0.125)
    take_over(before, run)
    image = torch.rand(2, 1, 224, 224)
    with torch.no_grad():
        said, expected = load_fine(run)(image)[0], before.eval()(torch.nn.functional.avg_pool2d(image, 2))[0]
    assert torch.allclose(said, expected, atol=1e-5)


@pytest.mark.parametrize(("name", "width"), [("vgg11_se", 0.0625 * 3), ("resnet18", 0.125)])
def test_another_shape(run: Path, name: str, width: float) -> None:
    with pytest.raises(UsageError, match="another shape"):
        take_over(build(name, width=width), run)


def test_a_smaller_network(run: Path) -> None:
    facts = json.loads((run / "config.json").read_text())
    large = build("vgg11_se", width=0.25)
    (run / "config.json").write_text(json.dumps(facts | {"kwargs": {"width": 0.25}}))
    save_file(large.state_dict(), run / "checkpoint.safetensors")
    with pytest.raises(UsageError, match="another shape"):
        take_over(build("vgg11_se", width=0.125), run)
