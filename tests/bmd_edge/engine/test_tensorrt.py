"""TensorRT itself: its errors, its versions, and its numbers where a GPU is at hand."""

import sys

import pytest

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.engine import tensorrt
from bmd_edge.engine.compile import compile_bundle, open_compiled
from bmd_edge.engine.engine_files import EngineCache
from bmd_edge.engine.open import open_engine
from bmd_edge.engine.self_test import self_test
from bmd_edge.errors import EngineError, MissingExtra
from tests.support.bundles import tiny_bundle
from tests.support.toolkit import pretend


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> VerifiedBundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "b")


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        ("parse", "does not take the network: Bernoulli at coin: false"),
        ("build", "no implementation for node. .* memory is often full"),
        ("load", "cannot load the engine: serialization version mismatch"),
        ("run", "TensorRT failed"),
    ],
)
def test_errors_of_tensorrt_are_one_line(bundle: VerifiedBundle, cache: EngineCache, failure: str, says: str) -> None:
    with pytest.raises(EngineError, match=says):
        list(compile_bundle(bundle, cache=cache, kit=pretend(failure)))


def test_version_10_is_asked_for_strong_typing(bundle: VerifiedBundle) -> None:
    kit = pretend()
    kit.trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED = 1
    try:
        tensorrt.build(kit.trt, bundle.model_bytes("bmd"))
    finally:
        del kit.trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    assert kit.trt.builds[0]["flags"] == 2


def test_without_tensorrt_the_remedy_is_named(bundle: VerifiedBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingExtra, match=r"'\.\[tensorrt\]' in a checkout"):
        open_engine(bundle, "bmd", device="tensorrt")


def tensorrt_here() -> bool:
    try:
        tensorrt.toolkit()
    except MissingExtra:
        return False
    return True


@pytest.mark.gpu
@pytest.mark.skipif(not tensorrt_here(), reason="no TensorRT here")
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_tensorrt_gives_the_golden_numbers(bundle: VerifiedBundle, cache: EngineCache, precision: str) -> None:
    for model, chosen, said in compile_bundle(bundle, precision, cache=cache):
        assert "self-test passed" in said
        with open_compiled(bundle, model, chosen, cache=cache) as engine:
            self_test(bundle, model, engine)
            assert len(engine.run({"image": bundle.golden()[f"{model}/input/image"].repeat(20, 0)})["embedding"]) == 40
