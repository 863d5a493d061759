"""Several BMD networks as one: their mean, and a spread that grows where they disagree."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Ensemble(nn.Module):
    """BMD networks that read one input, answering as one `BmdNet` does.

    The spread is the scale of a Laplace distribution, which is the mean absolute error it expects; so the members'
    mean absolute deviation from their mean, what nobody had to fit, adds to their mean spread. Only sums, products and
    ReLU: ONNX Runtime and TensorRT have no rule to break.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """BMD, spread and embedding of images of regions.

        Args:
            image: (n, 1, size, size) float32, 0..1, bone bright, mirrored to a right hip.

        Returns:
            bmd (n, 2) g/cm2, the members' mean; spread (n, 2) g/cm2, > 0; embedding (n, d), the first member's.
        """
        found = [member(image) for member in self.members]
        bmd = _mean([one[0] for one in found])
        apart = [one[0] + bmd * -1.0 for one in found]
        disagreement = _mean([torch.relu(one) + torch.relu(one * -1.0) for one in apart])
        return bmd, _mean([one[1] for one in found]) + disagreement, found[0][2]


def _mean(values: Sequence[Tensor]) -> Tensor:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total * (1.0 / len(values))
