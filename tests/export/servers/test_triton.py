"""The model repository: as Triton's own schema has it, whole, and with the numbers of the bundle."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.engine.compile import compile_bundle
from bmd_edge.engine.engine_files import EngineCache
from bmd_edge.errors import EngineError, UsageError
from export.servers import triton
from export.servers.triton import write_triton
from tests.bmd_edge.cli.program import program
from tests.export.servers.stand_in_server import Network, read_config
from tests.support.bundles import tiny_bundle
from tests.support.toolkit import pretend


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> tuple[VerifiedBundle, Path]:
    bundle, out = read_bundle(), tmp_path_factory.mktemp("triton") / "repository"
    assert write_triton(bundle, out) == {"finder": "fp32", "bmd": "fp32"}
    return bundle, out


@pytest.mark.parametrize("model", ["finder", "bmd"])
def test_the_embedded_bundle_runs_as_declared_and_gives_the_golden_outputs(
    embedded: tuple[VerifiedBundle, Path], model: str
) -> None:
    bundle, out = embedded
    network, golden = Network(out / model), bundle.golden()
    facts = bundle.manifest.models[model]
    tolerance = facts.golden_tolerance["fp32"]
    found = network.run({"image": golden[f"{model}/input/image"]})
    assert set(found) == set(facts.outputs)
    for name, values in found.items():
        np.testing.assert_allclose(values, golden[f"{model}/fp32/{name}"], atol=tolerance[name])
    assert [len(one["embedding"]) for one in network.warmed] == [1, 8]
    for one in network.warmed:  # the first golden image, alone and repeated: batch sizes differ in the last digits
        for name, values in one.items():
            wanted = np.broadcast_to(golden[f"{model}/fp32/{name}"][0], values.shape)
            np.testing.assert_allclose(values, wanted, atol=tolerance[name])


def test_the_configuration_says_how_it_is_served(embedded: tuple[VerifiedBundle, Path]) -> None:
    bundle, out = embedded
    config = read_config(out / "finder")
    assert (config.backend, config.platform, config.max_batch_size) == ("onnxruntime", "", 32)
    assert config.version_policy.latest.num_versions == 1
    assert config.dynamic_batching.max_queue_delay_microseconds > 0
    (group,) = config.instance_group
    assert (group.kind, group.count) == (model_config_pb2.ModelInstanceGroup.KIND_CPU, 1)
    assert config.parameters["bundle_digest"].string_value == bundle.digest
    assert config.parameters["precision"].string_value == "fp32"
    text = (out / "finder" / "config.pbtxt").read_text(encoding="utf-8")
    assert "Research use only" in text.splitlines()[0]
    with pytest.raises(text_format.ParseError, match="max_batch"):
        text_format.Parse(text.replace("max_batch_size", "max_batch"), model_config_pb2.ModelConfig())
    listed = sorted(path.relative_to(out / "bmd").as_posix() for path in (out / "bmd").rglob("*"))
    assert listed == ["1", "1/model.onnx", "config.pbtxt", "warmup", "warmup/image"]
    assert (out / "bmd/1/model.onnx").read_bytes() == bundle.model_bytes("bmd")


def test_on_a_gpu_compiled_engines_are_served_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, kit, cache = tiny_bundle(tmp_path / "b"), pretend(), EngineCache(tmp_path / "cache")
    monkeypatch.setattr(triton.tensorrt, "toolkit", lambda: kit)
    monkeypatch.setattr(triton, "EngineCache", lambda: cache)
    with pytest.raises(EngineError, match="no engine was compiled for this network; run `bmd-edge compile"):
        write_triton(bundle, tmp_path / "out", "tensorrt")
    assert not (tmp_path / "out").exists()
    list(compile_bundle(bundle, cache=cache, kit=kit))
    assert write_triton(bundle, tmp_path / "out", "tensorrt") == {"finder": "fp32", "bmd": "int8"}
    config = read_config(tmp_path / "out" / "bmd")
    assert (config.platform, config.default_model_filename) == ("tensorrt_plan", "model.plan")
    assert config.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_GPU
    assert config.parameters["precision"].string_value == "int8"
    plans = sorted(path.read_bytes() for path in (tmp_path / "out").glob("*/1/model.plan"))
    assert plans == sorted(path.read_bytes() for path in cache.folder.glob("*.engine"))


def test_cuda_is_served_in_fp32(tmp_path: Path) -> None:
    assert write_triton(tiny_bundle(tmp_path / "b"), tmp_path / "out", "cuda") == {"finder": "fp32", "bmd": "fp32"}
    config = read_config(tmp_path / "out" / "bmd")
    assert (config.backend, config.instance_group[0].kind) == (
        "onnxruntime",
        model_config_pb2.ModelInstanceGroup.KIND_GPU,
    )


def test_an_edited_bundle_a_folder_that_is_there_and_an_unknown_device_are_refused(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b").root
    said = program("bundle", "triton", bundle, tmp_path / "new" / "out")
    assert (said.returncode, said.stderr) == (0, "")
    assert "serves finder in fp32, bmd in fp32 of bundle test, digest" in said.stdout
    assert said.stdout.endswith(", without a signature\n")
    for words, code, why in (
        ((bundle, tmp_path / "new" / "out"), 2, "out exists: give a new folder for OUT"),
        (
            (bundle, tmp_path / "other", "--device", "tpu"),
            2,
            "--device: 'tpu' is not one of cpu, cuda, tensorrt; an NVIDIA",
        ),
        ((tmp_path / "nowhere", tmp_path / "other"), 4, "no bundle here"),
        ((bundle, tmp_path / "other", "--key", tmp_path / "public.pem"), 4, "the bundle is not signed"),
    ):
        done = program("bundle", "triton", *words)
        assert (done.returncode, done.stdout) == (code, "")
        assert why in done.stderr
        assert len(done.stderr.splitlines()) == 1
    edited = shutil.copytree(bundle, tmp_path / "edited")
    before = sorted(tmp_path.rglob("*"))
    raw = bytearray((edited / "bmd.onnx").read_bytes())
    raw[-1] ^= 1
    (edited / "bmd.onnx").write_bytes(raw)
    done = program("bundle", "triton", edited, tmp_path / "other")
    assert (done.returncode, done.stdout) == (4, "")
    assert "bmd.onnx does not have the hash the manifest states" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(UsageError, match="exists"):
        write_triton(read_bundle(bundle), tmp_path / "new")
