"""Stands in for a Triton server: the protocol, the types and the schema of `tritonclient`, ONNX Runtime behind them.

It loads what a repository's config.pbtxt declares, runs the warm-up, and answers over gRPC on this machine. It refuses
what Triton's model_config.proto does not know and what a request has otherwise than declared. Of the scheduler, of
TensorRT and of GPUs it shows nothing.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

TYPES = {model_config_pb2.TYPE_FP32: ("FP32", np.dtype("<f4"))}


def read_config(folder: Path) -> Any:
    """The configuration of one network; text_format.ParseError for a field that Triton does not know."""
    return text_format.Parse((folder / "config.pbtxt").read_text(encoding="utf-8"), model_config_pb2.ModelConfig())


class Network:
    """One network of a repository, run through the names, shapes and types that its configuration declares."""

    def __init__(self, folder: Path) -> None:
        self.config = read_config(folder)
        assert self.config.name == folder.name
        (version,) = (path for path in folder.iterdir() if path.name.isdigit())
        file = version / self.config.default_model_filename
        self.session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        self.warmed = [self._warm_up(folder, one) for one in self.config.model_warmup]

    def _warm_up(self, folder: Path, sample: Any) -> dict[str, np.ndarray]:
        feeds = {}
        for name, tensor in sample.inputs.items():
            raw = (folder / "warmup" / tensor.input_data_file).read_bytes()
            image = np.frombuffer(raw, TYPES[tensor.data_type][1]).reshape(tensor.dims)
            feeds[name] = np.stack([image] * sample.batch_size)
        return self.run(feeds)

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Raises ValueError where feeds or answers are not as declared."""
        if set(feeds) != {one.name for one in self.config.input}:
            raise ValueError(f"unexpected inputs {sorted(feeds)}")
        for one in self.config.input:
            self._check(one, feeds[one.name])
        names = [one.name for one in self.config.output]
        answers = dict(zip(names, self.session.run(names, feeds), strict=True))
        for one in self.config.output:
            self._check(one, answers[one.name])
        return answers

    def _check(self, declared: Any, array: np.ndarray) -> None:
        batch, *dims = array.shape
        if not 1 <= batch <= self.config.max_batch_size:
            raise ValueError(f"a batch of {batch}, at most {self.config.max_batch_size}")
        if dims != list(declared.dims) or array.dtype != TYPES[declared.data_type][1]:
            raise ValueError(f"{declared.name} is {array.dtype} {dims}, declared {list(declared.dims)}")


class Service(service_pb2_grpc.GRPCInferenceServiceServicer):
    def __init__(self, repository: Path) -> None:
        self.networks = {folder.name: Network(folder) for folder in sorted(repository.iterdir())}
        self.batches: list[tuple[str, int]] = []

    def ModelConfig(self, request: Any, context: Any) -> Any:
        return service_pb2.ModelConfigResponse(config=self._network(request.name, context).config)

    def ModelInfer(self, request: Any, context: Any) -> Any:
        network = self._network(request.model_name, context)
        feeds = {
            one.name: np.frombuffer(raw, "<f4").reshape(one.shape)
            for one, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        try:
            assert {one.datatype for one in request.inputs} == {"FP32"}
            answers = network.run(feeds)
        except ValueError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        self.batches.append((request.model_name, len(next(iter(feeds.values())))))
        answer = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="1")
        for one in request.outputs:
            array = answers[one.name]
            answer.outputs.add(name=one.name, datatype="FP32", shape=array.shape)
            answer.raw_output_contents.append(array.tobytes())
        return answer

    def _network(self, name: str, context: Any) -> Network:
        if name not in self.networks:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{name}' is not found")
        return self.networks[name]


@contextmanager
def serving(repository: Path) -> Iterator[tuple[str, Service]]:
    """Serve a repository on this machine; yields host:port and the service."""
    service, server = Service(repository), grpc.server(ThreadPoolExecutor(2))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", service
    finally:
        server.stop(None).wait()
