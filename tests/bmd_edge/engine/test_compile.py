"""Compiling: what is missing or stale is built and proven; `tests.support.toolkit` stands in for TensorRT."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.engine.compile import compile_bundle, open_compiled
from bmd_edge.engine.engine_files import EngineCache
from bmd_edge.engine.open import open_engine
from bmd_edge.engine.self_test import self_test
from bmd_edge.errors import EngineError
from export.bundle.pack import pack
from tests.support.bundles import images_of, tiny_bundle, tiny_parts
from tests.support.toolkit import pretend


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> VerifiedBundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "b")


def test_compile_builds_what_is_missing_and_proves_it(bundle: VerifiedBundle, cache: EngineCache) -> None:
    kit, seen = pretend(), []
    done = list(compile_bundle(bundle, cache=cache, kit=kit, progress=lambda *step: seen.append(step)))
    assert [(model, precision) for model, precision, _ in done] == [("finder", "fp32"), ("bmd", "int8")]
    assert all("self-test passed" in said for _, _, said in done)
    assert seen[:2] == [("Building", 0, 2), ("Building", 1, 2)]
    build = kit.trt.builds[0]
    assert build["cleared"] == ["tf32"]
    assert build["shapes"]["image"] == tuple((batch, 1, 256, 256) for batch in (1, 8, 32))
    assert kit.trt.builds[1]["timing"] == b"timed"  # of the first build
    again = list(compile_bundle(bundle, cache=cache, kit=kit))
    assert {said for _, _, said in again} == {"was compiled before"}
    assert len(kit.trt.builds) == 2
    assert kit.cuda.memory == {}  # all given back
    assert kit.cuda.streams == 0


def test_a_compiled_engine_gives_the_same_numbers_in_batches_of_any_size(
    bundle: VerifiedBundle, cache: EngineCache
) -> None:
    kit = pretend()
    list(compile_bundle(bundle, "fp32", cache=cache, kit=kit))
    images = images_of(70)  # more than the largest batch of the profile, twice
    with open_engine(bundle, "bmd", device="cpu", precision="fp32") as cpu:
        wanted = cpu.run({"image": images})
    with open_compiled(bundle, "bmd", "fp32", cache=cache, kit=kit) as engine:
        assert (engine.device, engine.precision) == ("tensorrt", "fp32")
        found = engine.run({"image": images})
        self_test(bundle, "bmd", engine)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, atol=1e-6)


def test_int8_that_was_judged_on_the_cpu_only_is_not_used(tmp_path: Path, cache: EngineCache) -> None:
    (tmp_path / "work").mkdir()
    bundle = pack(tmp_path / "b", dataclasses.replace(tiny_parts(tmp_path / "work"), shift_as_written=None))
    done = list(compile_bundle(bundle, cache=cache, kit=pretend()))
    assert [(model, precision) for model, precision, _ in done] == [("finder", "fp32"), ("bmd", "fp32")]
    open_compiled(bundle, "bmd", "auto", cache=cache, kit=pretend()).close()
    with pytest.raises(EngineError, match="INT8 was not judged as TensorRT computes it: use --precision fp32"):
        list(compile_bundle(bundle, "int8", cache=cache, kit=pretend()))
    with pytest.raises(EngineError, match="INT8 was not judged as TensorRT computes it"):
        open_compiled(bundle, "bmd", "int8", cache=cache, kit=pretend())


@pytest.mark.parametrize(
    ("changed", "says"),
    [({"gpu": "Pretend 2"}, "gpu Pretend 1, here Pretend 2"), ({"driver": 13010}, "here CUDA 13010")],
)
def test_another_gpu_or_driver_opens_nothing_and_compile_builds_anew(
    bundle: VerifiedBundle, cache: EngineCache, changed: dict[str, Any], says: str
) -> None:
    list(compile_bundle(bundle, cache=cache, kit=pretend()))
    other = pretend(**changed)
    with pytest.raises(EngineError, match=f"stale.*{says}"):
        open_compiled(bundle, "bmd", "int8", cache=cache, kit=other)
    assert all(says in said for _, _, said in compile_bundle(bundle, cache=cache, kit=other))
    open_compiled(bundle, "bmd", "int8", cache=cache, kit=other).close()


def test_an_engine_with_wrong_numbers_is_not_stored(bundle: VerifiedBundle, cache: EngineCache) -> None:
    with pytest.raises(EngineError, match="self-test of finder"):
        list(compile_bundle(bundle, cache=cache, kit=pretend(offset=0.5)))
    assert list(cache.folder.glob("*.engine")) == []
