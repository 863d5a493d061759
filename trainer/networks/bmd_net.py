"""The BMD network: a backbone and its heads."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.networks.outputs import N_SITES


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
        """BMD, spread and embedding of images of regions.

        Args:
            image: (n, 1, 112, 112) float32, 0..1, bone bright, mirrored to a right hip.

        Returns:
            bmd (n, 2) g/cm2; spread (n, 2) g/cm2, > 0, the scale of a Laplace distribution; embedding (n, d).
        """
        return self.heads(self.embed(image))

    def embed(self, image: Tensor) -> Tensor:
        """Embedding (n, d) float32 of images of regions."""
        features: Tensor = self.backbone(image)
        return features.mean((2, 3)).float()

    def heads(self, embedding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """BMD, spread and the embedding itself, as `forward` returns them."""
        bmd = self.label_mean + self.label_sd * self.bmd_head(embedding)
        spread = self.label_sd * (functional.softplus(self.spread_head(embedding.detach())) + 1e-3)
        return bmd, spread, embedding
