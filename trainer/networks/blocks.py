"""What the networks are built of: convolution with norm, residual block, squeeze-and-excitation."""

from torch import Tensor, nn
from torch.nn import functional


def conv_norm_relu(c_in: int, c_out: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    """A convolution without bias, batch norm and ReLU: (n, c_in, h, w) -> (n, c_out, h / stride, w / stride)."""
    around = (size - stride + 1) // 2
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, size, stride, around, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)
    )


def scaled_channels(channels: int, width: float) -> int:
    """Channels times width, in multiples of 16: with 8, torch 2.13 crashes in fp32 channels-last backward passes."""
    return max(16, round(channels * width / 16) * 16)


class Residual(nn.Module):
    """Basic block of He et al., CVPR 2016: two 3 x 3 convolutions and a shortcut."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        self.first = conv_norm_relu(c_in, c_out, stride)
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
