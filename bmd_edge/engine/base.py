"""What every engine is: opened, used, closed; and the shipped fake, a function.

The base class checks names, shapes, dtypes and finiteness once for all of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.manifest import TensorSpec
from bmd_edge.errors import EngineError

Arrays = dict[str, NDArray[Any]]


class Engine(ABC):
    """A network that can be run; use it as a context manager.

    `inputs` and `outputs` map names to `TensorSpec(shape, dtype)`, shape with None for the batch; they are known once
    the engine is open. `device` and `precision` are what is used, never "auto".
    """

    def __init__(self, device: str, precision: str) -> None:
        self.device = device
        self.precision = precision
        self.inputs: dict[str, TensorSpec] = {}
        self.outputs: dict[str, TensorSpec] = {}
        self._is_open = False

    def open(self) -> None:
        """Load the network; EngineError if this machine cannot. Opening an open engine does nothing."""
        if not self._is_open:
            self._open()
            self._is_open = True

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        """Run one batch: name -> array in, name -> array out, both exactly as `inputs` and `outputs` say.

        Raises EngineError if the engine is closed, or a name, shape, dtype or value (not finite) is wrong.
        """
        if not self._is_open:
            raise EngineError("the engine is not open")
        batch = _check("input", self.inputs, feeds, None)
        results = self._run(dict(feeds))
        _check("output", self.outputs, results, batch)
        return results

    def close(self) -> None:
        """Free the network; closing a closed engine does nothing."""
        if self._is_open:
            self._is_open = False
            self._close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _open(self) -> None: ...

    @abstractmethod
    def _run(self, feeds: Arrays) -> Arrays: ...

    @abstractmethod
    def _close(self) -> None: ...


def _check(what: str, specs: Mapping[str, TensorSpec], arrays: Mapping[str, NDArray[Any]], batch: int | None) -> int:
    """Check arrays against their specs; returns the batch size, which all of them share."""
    if set(arrays) != set(specs):
        raise EngineError(f"{what}s are {sorted(arrays)}, the network has {sorted(specs)}")
    for name, spec in specs.items():
        array = arrays[name]
        fits = array.ndim == len(spec.shape) and all(
            want in (None, have) for want, have in zip(spec.shape, array.shape, strict=True)
        )
        if not fits or str(array.dtype) != spec.dtype:
            raise EngineError(f"{what} {name} is {array.dtype} {array.shape}, must be {spec.dtype} {spec.shape}")
        if array.shape[0] == 0 or (batch is not None and array.shape[0] != batch):
            raise EngineError(f"{what} {name} has a batch of {array.shape[0]}, not {batch or 'one or more'}")
        batch = array.shape[0]
        if not np.isfinite(array).all():
            raise EngineError(f"{what} {name} holds values that are not finite")
    return batch or 0


class FunctionEngine(Engine):
    """An engine around `fn({name: array}) -> {name: array}`: makes the whole screening testable without a model."""

    def __init__(
        self,
        fn: Callable[[Arrays], Mapping[str, NDArray[Any]]],
        inputs: Mapping[str, tuple[tuple[int | None, ...], str]],
        outputs: Mapping[str, tuple[tuple[int | None, ...], str]],
    ) -> None:
        super().__init__("function", "fp32")
        self._fn = fn
        self.inputs = {name: TensorSpec(*spec) for name, spec in inputs.items()}
        self.outputs = {name: TensorSpec(*spec) for name, spec in outputs.items()}

    def _open(self) -> None:
        """Nothing to load."""

    def _run(self, feeds: Arrays) -> Arrays:
        return dict(self._fn(feeds))

    def _close(self) -> None:
        """Nothing to free."""


def first_line(error: Exception) -> str:
    """The first line of an error's text: the rest can hold paths of the machine that built the library."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
