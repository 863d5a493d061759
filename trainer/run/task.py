"""What the loop asks of a thing to train."""

from abc import ABC, abstractmethod
from typing import Any

from numpy.random import Generator
from torch import Tensor, nn

from bmd_edge.bundle.network_input import InputSpec


class Task(ABC):
    """What is trained. A semi-supervised method is a task that holds its teacher or its pseudo labels."""

    network_name: str
    network_kwargs: dict[str, Any]
    steps: int
    split: dict[str, list[str]]
    score: str
    """Name of the validation metric that chooses the best checkpoint; larger is better."""

    spec: InputSpec | None = None
    """The network's input where the settings choose it."""

    network: nn.Module
    """With its initial weights; trained in place."""

    @abstractmethod
    def loss(self, rng: Generator, epoch: int, step: int) -> tuple[Tensor, dict[str, float]]:
        """The loss of one batch drawn with `rng`, and numbers to log; the network is in train mode."""

    @abstractmethod
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Metrics on the validation split; `network` is in eval mode and has the averaged weights."""

    def watch(self, averaged: dict[str, Tensor]) -> None:  # noqa: B027 - most tasks need no teacher
        """Given once: the averaged weights, which the loop changes in place after each step."""

    def state(self) -> dict[str, Tensor]:
        """What the task itself has to remember to be taken up after a kill."""
        return {}

    def take_up(self, state: dict[str, Tensor]) -> None:  # noqa: B027 - most tasks have no state
        """Put back what `state` gave."""
