"""EfficientNet-Lite0 for one channel: no gates and ReLU6 only, so it survives INT8.

Architecture: Tan and Le, ICML 2019, and the table of TensorFlow's `efficientnet_lite`. The modules are defined in the
order of the published PyTorch weights, so those load one after another with every shape checked.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from bmd_edge.errors import UsageError

_STAGES = (  # repeats, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding, which is one pixel more at the far side for stride 2."""

    def __init__(self, c_in: int, c_out: int, size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(c_in, c_out, size, stride, groups=groups, bias=False)
        total = size - stride
        self.pad = (total // 2, total - total // 2) * 2

    def forward(self, input: Tensor) -> Tensor:
        """(n, c_in, h, w) -> (n, c_out, h / stride, w / stride); h and w even for stride 2."""
        return super().forward(functional.pad(input, self.pad))


class Inverted(nn.Module):
    """Inverted bottleneck (Sandler et al., CVPR 2018)."""

    def __init__(self, c_in: int, c_out: int, size: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = c_in * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [nn.Conv2d(c_in, hidden, 1, bias=False), _norm(hidden), nn.ReLU6(inplace=True)]
        layers += [SameConv(hidden, hidden, size, stride, groups=hidden), _norm(hidden), nn.ReLU6(inplace=True)]
        layers += [nn.Conv2d(hidden, c_out, 1, bias=False), _norm(c_out)]
        self.layers = nn.Sequential(*layers)
        self.skip = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) -> (n, c_out, h / stride, w / stride)."""
        y: Tensor = self.layers(x)
        return x + y if self.skip else y


class EfficientNetLite0(nn.Module):
    """(n, 1, h, w) -> (n, 1280, h / 32, w / 32)."""

    n_features = _HEAD

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [SameConv(1, _STEM, 3, 2), _norm(_STEM), nn.ReLU6(inplace=True)]
        c_in = _STEM
        for repeats, size, stride, expansion, c_out in _STAGES:
            for repeat in range(repeats):
                layers.append(Inverted(c_in, c_out, size, stride if repeat == 0 else 1, expansion))
                c_in = c_out
        layers += [nn.Conv2d(c_in, _HEAD, 1, bias=False), _norm(_HEAD), nn.ReLU6(inplace=True)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Features before the pooling."""
        y: Tensor = self.layers(x)
        return y

    def load_imagenet(self, weights: dict[str, Tensor]) -> None:
        """Take the weights of the three-channel ImageNet network; the first layer's channels are summed.

        The ImageNet network saw (rgb - 127) / 128, this one sees 0..1: the following batch norm absorbs the scale.

        Raises:
            UsageError: the weights are those of another network.
        """
        values = [(name, value) for name, value in weights.items() if not name.startswith("_fc.")]
        own = self.state_dict()
        if len(values) != len(own):
            raise UsageError(f"the ImageNet weights have {len(values)} arrays, EfficientNet-Lite0 has {len(own)}")
        loaded: dict[str, Tensor] = {}
        for (name, value), (own_name, own_value) in zip(values, own.items(), strict=True):
            fitted = value.sum(1, keepdim=True) if not loaded else value
            if fitted.shape != own_value.shape:
                raise UsageError(f"the ImageNet weight {name} has the shape {tuple(value.shape)}")
            loaded[own_name] = fitted.to(torch.float32) if fitted.is_floating_point() else fitted
        self.load_state_dict(loaded)
