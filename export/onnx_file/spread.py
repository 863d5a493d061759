"""The spread of BMD networks, fitted anew on hips that nobody learned from.

A network's spread is the error that it expects, the scale of a Laplace distribution. In its training it is taught by
the errors on the training's own hips, which are smaller than those on other hips, and most of all where a hip is unlike
the others. So the last layer of the spread is fitted once more, for the ensemble as a whole, to the errors on the hips
that give the INT8 ranges: the weights of the largest posterior under a normal prior around the trained ones.
The estimate does not move, and the interval's scale is fitted afterwards, on other hips.
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from trainer.networks.bmd_net import BmdNet

LEAST_HIPS = 100
"""With fewer the trained spread stays: what so few say of it is mostly chance."""

PRIOR_HIPS = 30.0
"""What the prior weighs: a weight that moves the log of the spread by about one SD of the embedding costs as much
likelihood as 30 hips of mean error: a choice."""


def fit_spread(network: nn.Module, images: Iterable[NDArray[np.float32]], dexa_gcm2: NDArray[np.float64]) -> bool:
    """Fit the spread of a BMD network or of an ensemble of them, in place.

    Args:
        network: in eval mode, its estimates as they are going to be (stretched, if they are).
        images: batches (n, 1, size, size) of hips that did not teach it.
        dexa_gcm2: (hips, sites) DEXA of these hips.

    Returns:
        Whether there were `LEAST_HIPS`; else nothing has changed.
    """
    if len(dexa_gcm2) < LEAST_HIPS:
        return False
    members = [one for one in network.modules() if isinstance(one, BmdNet)]
    with torch.no_grad():
        seen = [[one.embed(torch.from_numpy(batch)) for one in members] for batch in images]
        embeddings = [torch.cat(parts).double() for parts in zip(*seen, strict=True)]
        estimates = torch.stack([one.heads(e.float())[0] for one, e in zip(members, embeddings, strict=True)]).double()
    mean = estimates.mean(0)
    apart, error = (estimates - mean).abs().mean(0), (mean - torch.from_numpy(dexa_gcm2)).abs()
    heads = [one.spread_head.double() for one in members]
    trained = [head.weight.detach().clone() for head in heads]
    spans = [each.std(0) for each in embeddings]

    def loss() -> Tensor:
        spread = apart + torch.stack([_spread(*each) for each in zip(members, embeddings, strict=True)]).mean(0)
        moved = [((h.weight - w) * span).square().sum() for h, w, span in zip(heads, trained, spans, strict=True)]
        return (spread.log() + error / spread).mean() + PRIOR_HIPS / len(error) * torch.stack(moved).sum()

    _minimize(loss, [value for head in heads for value in head.parameters()])
    for head in heads:
        head.float()
    return True


def _spread(member: BmdNet, embedding: Tensor) -> Tensor:
    """As `BmdNet.heads`, in double precision."""
    return member.label_sd * (functional.softplus(member.spread_head(embedding)) + 1e-3)


def _minimize(loss: Callable[[], Tensor], parameters: list[nn.Parameter]) -> None:
    optimizer = torch.optim.LBFGS(parameters, max_iter=300, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(step)  # type: ignore[no-untyped-call]
