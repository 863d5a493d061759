"""Films measured with networks on a Triton server: `python -m export.servers.triton_client FILM --address HOST:PORT`.

The example of a client, with the types of `tritonclient`: only the networks run over there. Decoding, preprocessing,
checks and calibration are those of the runtime, here, so numbers, refusals and flags are too.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from bmd_edge import open_bundle
from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.bundle.manifest import TensorSpec
from bmd_edge.cli.streams import settle
from bmd_edge.engine.base import Arrays, Engine, first_line
from bmd_edge.engine.self_test import check_specs, self_test
from bmd_edge.errors import BmdEdgeError, EngineError, MissingExtra
from bmd_edge.screen.screener import Screener

_DTYPES = {"TYPE_FP32": "float32"}
_TIMEOUT_S = 60.0


class TritonEngine(Engine):
    """The network `model` of a bundle, as a Triton server at `address` (host:port of its gRPC) runs it.

    Opening it asks the server for its configuration: another bundle's network, other names, shapes or types, and
    outputs that are not the golden ones are EngineErrors.
    """

    def __init__(self, bundle: VerifiedBundle, model: str, address: str) -> None:
        super().__init__("function", "fp32")
        self._bundle, self._model, self._address = bundle, model, address

    def open(self) -> None:
        """Connect, check and self-test; EngineError where the server cannot or does not serve this network."""
        if not self._is_open:
            super().open()
            check_specs(self._bundle, self._model, self)
            self_test(self._bundle, self._model, self)

    def _open(self) -> None:
        try:
            from tritonclient import grpc
            from tritonclient.utils import InferenceServerException
        except ImportError as error:
            raise MissingExtra("tritonclient", "triton") from error
        self._grpc, self._refusal = grpc, InferenceServerException
        self._client = grpc.InferenceServerClient(self._address)
        config = self._called(self._client.get_model_config, self._model, as_json=True)["config"]
        stated = {name: value["string_value"] for name, value in config.get("parameters", {}).items()}
        if stated.get("bundle_digest") != self._bundle.digest:
            raise EngineError(
                f"{self._address} serves the {self._model} network of another bundle: give that bundle with --bundle,"
                " or serve what `bmd-edge bundle triton` writes of this one"
            )
        self.precision = stated["precision"]
        self.inputs, self.outputs = (_specs(config[field]) for field in ("input", "output"))

    def _run(self, feeds: Arrays) -> Arrays:
        inputs = []
        for name, array in feeds.items():
            inputs.append(self._grpc.InferInput(name, list(array.shape), "FP32"))
            inputs[-1].set_data_from_numpy(array)
        wanted = [self._grpc.InferRequestedOutput(name) for name in self.outputs]
        done = self._called(self._client.infer, self._model, inputs, outputs=wanted)
        return {name: done.as_numpy(name) for name in self.outputs}

    def _called(self, function: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, client_timeout=_TIMEOUT_S, **options)
        except self._refusal as error:
            said = first_line(error)
            raise EngineError(
                f"Triton at {self._address}: {said}; see that it runs and has loaded the model"
            ) from error

    def _close(self) -> None:
        self._client.close()


def _specs(tensors: Sequence[dict[str, Any]]) -> dict[str, TensorSpec]:
    """What a configuration says of inputs or outputs; the batch stands before its dimensions."""
    return {
        one["name"]: TensorSpec((None, *map(int, one["dims"])), _DTYPES.get(one["data_type"], one["data_type"]))
        for one in tensors
    }


def triton_screener(bundle: VerifiedBundle, address: str) -> Screener:
    """A screener whose networks run on the server at `address`; errors as of `TritonEngine` and `Screener`."""
    return Screener(bundle, engines={name: TritonEngine(bundle, name, address) for name in bundle.manifest.models})


def main() -> None:
    """Print the report of each film as a line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m export.servers.triton_client", description=__doc__.split("\n")[0])
    parser.add_argument("films", nargs="+", type=Path, metavar="FILM")
    parser.add_argument("--address", default="localhost:8001", help="host:port of the server's gRPC")
    parser.add_argument("--bundle", type=Path, help="bundle folder; default the embedded one")
    asked = parser.parse_args()
    settle()
    try:
        with triton_screener(open_bundle(asked.bundle), asked.address) as screener:
            for film in asked.films:
                typer.echo(json.dumps(screener.read(film, file=film.name).to_dict()))
    except BmdEdgeError as error:
        typer.echo(f"bmd-edge: {error}", err=True)
        raise SystemExit(4 if isinstance(error, EngineError) else 2) from None


if __name__ == "__main__":
    main()
