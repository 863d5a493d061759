"""The finder: heat maps of a hip's landmarks, and what kind of hip it is."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.networks.blocks import Residual, conv_norm_relu
from trainer.networks.outputs import N_KINDS, N_LANDMARKS


class FinderNet(nn.Module):
    """A small U-Net (Ronneberger et al., MICCAI 2015) with sums as skips, output at stride 2, and a class head.

    The class head reads the average of the deepest features, an attention-weighted average of the features at stride
    16, so that one hip can be judged in an image that shows two, and the strongest of the features at stride 8, for a
    fracture is a small thing that averages hide.
    """

    def __init__(self, channels: Sequence[int] = (16, 16, 32, 64, 96), n_embedding: int = 64) -> None:
        super().__init__()
        c = list(channels)
        self.stem = conv_norm_relu(1, c[0], 2, 5)
        self.encoder = nn.ModuleList([Residual(a, b, 2) for a, b in pairwise(c)])
        self.deep = Residual(c[-1], c[-1])
        self.up = nn.ModuleList([nn.Conv2d(b, a, 1) for a, b in pairwise(c)])
        self.decoder = nn.ModuleList([conv_norm_relu(a, a) for a in c[1:-1]])
        self.last = nn.Sequential(conv_norm_relu(c[0], c[0]), nn.Conv2d(c[0], N_LANDMARKS, 1))
        self.attention = nn.Conv2d(c[-2], 1, 1)
        self.local = conv_norm_relu(c[2], c[2])
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
