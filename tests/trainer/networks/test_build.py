import zlib

import pytest
import torch

from bmd_edge.errors import UsageError
from trainer.networks.build import build, folded, load_run, shortened
from trainer.networks.outputs import OUTPUTS


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [("resnet18", {"width": 0.125}), ("vgg11_se", {"width": 0.125}), ("effnet_lite0", {"pretrained": False})],
)
def test_bmd_networks_answer_in_gcm2(name: str, kwargs: dict[str, object]) -> None:
    torch.manual_seed(0)
    network = build(name, label_mean=[0.8, 0.9], label_sd=[0.15, 0.16], **kwargs).eval()
    with torch.no_grad():
        bmd, spread, embedding = network(torch.rand(2, 1, 112, 112))
    assert len(OUTPUTS["bmd"]) == 3
    assert bmd.shape == spread.shape == (2, 2)
    assert embedding.shape[0] == 2
    assert (spread > 0).all()
    assert ((bmd - torch.tensor([0.8, 0.9])).abs() < 1.0).all()


@pytest.mark.parametrize(("name", "kwargs"), [("resnet19", {}), ("resnet18", {"depth": 3})])
def test_unknown_networks_and_arguments(name: str, kwargs: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=name):
        build(name, **kwargs)


def test_no_run_folder(tmp_path: object) -> None:
    with pytest.raises(UsageError, match=r"config\.json"):
        load_run(str(tmp_path))


@pytest.mark.parametrize("name", ["resnet18", "vgg11_se", "finder"])
def test_folded_network_says_the_same(name: str) -> None:
    torch.manual_seed(0)
    network = build(name)
    image = torch.rand(4, 1, 128, 128)
    for _ in range(3):
        network(image)  # moves the running means away from 0 and 1
    network.eval()
    small = folded(network)
    assert not [layer for layer in small.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    assert [layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for said, expected in zip(small(image), network(image), strict=True):
            assert torch.allclose(said, expected, rtol=1e-4, atol=1e-4)


def test_shortened_weights_say_nearly_the_same_and_pack_to_half() -> None:
    torch.manual_seed(0)
    network = build("vgg11_se", label_mean=[0.8, 0.9], label_sd=[0.15, 0.16]).eval()
    short, image = shortened(network), torch.rand(4, 1, 112, 112)
    with torch.no_grad():
        for said, expected in zip(short(image)[:2], network(image)[:2], strict=True):
            assert torch.allclose(said, expected, atol=2e-4)
    weights = short.get_parameter("backbone.10.0.weight").detach().numpy()
    assert (weights.view("<u4") & 0x1FFF == 0).all()
    assert len(zlib.compress(weights.tobytes())) < 0.6 * weights.nbytes
