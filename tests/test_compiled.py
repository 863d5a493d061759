"""Compiled engines: what names, seals and opens them. No GPU: `tests.toolkit` stands in for TensorRT and CUDA."""

import dataclasses
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.engine import tensorrt
from bmd_edge.engine.compile import compile_bundle, open_compiled
from bmd_edge.engine.engine_files import EngineCache, Target
from bmd_edge.engine.open import open_engine
from bmd_edge.engine.self_test import self_test
from bmd_edge.errors import EngineError, MissingExtra
from bmd_edge.system.places import engine_cache
from export.bundle.pack import pack
from tests.bundles import images_of, tiny_bundle, tiny_parts
from tests.toolkit import install, pretend

TARGET = Target("a" * 64, "11.0.0", "Pretend 1", "8.6", "CUDA 13000", "{}")
PLAN = b"machine code"
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> VerifiedBundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "b")


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "cache")


def only(folder: Path, suffix: str) -> Path:
    (path,) = folder.glob(f"*{suffix}")
    return path


# -- the cache --------------------------------------------------------------------------------------------------------


def test_what_was_written_is_read(cache: EngineCache) -> None:
    cache.write(TARGET, PLAN, {"model": "bmd"})
    assert cache.read(TARGET) == PLAN
    sidecar = json.loads(only(cache.folder, ".json").read_text())
    assert sidecar["about"] == {"model": "bmd"}
    assert sidecar["target"] == dataclasses.asdict(TARGET)
    assert stat.S_IMODE((cache.folder / "key").stat().st_mode) == 0o600
    assert [path for path in cache.folder.iterdir() if path.name.startswith(".")] == []  # no part is left


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Target)])
def test_everything_an_engine_depends_on_is_in_its_key(cache: EngineCache, name: str) -> None:
    cache.write(TARGET, PLAN, {})
    other = dataclasses.replace(TARGET, **{name: "another"})
    assert other.key != TARGET.key
    with pytest.raises(EngineError, match="bmd-edge compile BUNDLE --device tensorrt"):
        cache.read(other)


def test_a_stale_engine_says_what_changed(cache: EngineCache) -> None:
    cache.write(TARGET, PLAN, {})
    with pytest.raises(EngineError, match="stale: it was made for driver CUDA 13000, here CUDA 13010;"):
        cache.read(dataclasses.replace(TARGET, driver="CUDA 13010"))
    with pytest.raises(EngineError, match="no engine was compiled for this network"):
        cache.read(dataclasses.replace(TARGET, onnx_sha256="b" * 64))


def edit_engine(folder: Path) -> None:
    only(folder, ".engine").write_bytes(b"machine kode")


def edit_sidecar(folder: Path) -> None:
    path = only(folder, ".json")
    path.write_text(path.read_text().replace('"bytes": 12', '"bytes": 13'))


def sidecar_of_another_target(folder: Path) -> None:
    """Sealed by this user, but for another machine, and renamed."""
    other = EngineCache(folder)
    changed = dataclasses.replace(TARGET, gpu="Other")
    names = {path.suffix: path for path in folder.glob("a*")}
    other.write(changed, PLAN, {})
    for path in set(folder.glob("a*")) - set(names.values()):
        path.replace(names[path.suffix])


def new_key(folder: Path) -> None:
    (folder / "key").write_bytes(os.urandom(32))


def open_key(folder: Path) -> None:
    (folder / "key").chmod(0o640)


def short_key(folder: Path) -> None:
    (folder / "key").write_bytes(b"secret")


def no_key(folder: Path) -> None:
    (folder / "key").unlink()


def linked_engine(folder: Path) -> None:
    path = only(folder, ".engine")
    path.rename(folder / "elsewhere")
    path.symlink_to(folder / "elsewhere")


def no_seal(folder: Path) -> None:
    path = only(folder, ".json")
    facts = json.loads(path.read_text())
    del facts["seal"]
    path.write_text(json.dumps(facts))


def broken_sidecar(folder: Path) -> None:
    only(folder, ".json").write_text("[]")


def half_copied(folder: Path) -> None:
    only(folder, ".json").unlink()


MEDDLING = [
    edit_engine, edit_sidecar, sidecar_of_another_target, new_key, open_key, short_key, no_key, linked_engine, no_seal,
    broken_sidecar, half_copied,
]  # fmt: skip


@pytest.mark.parametrize("meddle", MEDDLING, ids=lambda meddle: meddle.__name__)
def test_edited_and_foreign_engines_are_not_read_and_compiling_mends_it(cache: EngineCache, meddle: Any) -> None:
    cache.write(TARGET, PLAN, {})
    meddle(cache.folder)
    with pytest.raises(EngineError, match="bmd-edge compile BUNDLE --device tensorrt"):
        cache.read(TARGET)
    cache.write(TARGET, PLAN, {})
    assert cache.read(TARGET) == PLAN
    assert stat.S_IMODE((cache.folder / "key").stat().st_mode) == 0o600


def test_a_crash_leaves_the_old_engine(cache: EngineCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.write(TARGET, PLAN, {})

    def power_cut(_handle: int) -> None:
        raise OSError("power cut")

    monkeypatch.setattr(os, "fsync", power_cut)
    with pytest.raises(OSError, match="power cut"):
        cache.write(TARGET, b"new machine code", {})
    assert cache.read(TARGET) == PLAN
    assert [path for path in cache.folder.iterdir() if path.name.startswith(".")] == []


def test_the_cache_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert engine_cache() == tmp_path / "bmd-edge" / "tensorrt"


# -- building and opening ---------------------------------------------------------------------------------------------


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
    bundle = pack(tmp_path / "b", dataclasses.replace(tiny_parts(tmp_path / "work"), parity_as_written=None))
    done = list(compile_bundle(bundle, cache=cache, kit=pretend()))
    assert [(model, precision) for model, precision, _ in done] == [("finder", "fp32"), ("bmd", "fp32")]
    open_compiled(bundle, "bmd", "auto", cache=cache, kit=pretend()).close()
    with pytest.raises(EngineError, match="has not judged INT8 as TensorRT computes it: use --precision fp32"):
        list(compile_bundle(bundle, "int8", cache=cache, kit=pretend()))
    with pytest.raises(EngineError, match="has not judged INT8 as TensorRT computes it"):
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


# -- the commands -----------------------------------------------------------------------------------------------------


def program(tmp_path: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """bmd-edge in a process of its own, where the stand-in is what `import tensorrt` finds."""
    if not (tmp_path / "modules").exists():
        install(tmp_path / "modules")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "modules"), str(ROOT)]),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    command = [sys.executable, "-m", "bmd_edge.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_screen_ends_with_4_until_compile_has_run(bundle: VerifiedBundle, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    screen = ("screen", tmp_path / "films", "--bundle", bundle.root, "--device", "tensorrt", "--out", tmp_path / "out")
    done = program(tmp_path, *screen)
    assert done.returncode == 4, done.stderr
    assert "bmd-edge compile BUNDLE --device tensorrt" in done.stderr
    assert not (tmp_path / "cache").exists()  # screening never builds
    done = program(tmp_path, "compile", bundle.root, "--device", "tensorrt")
    assert done.returncode == 0, done.stderr
    assert "bmd int8: built (no engine was compiled for this network)" in done.stdout
    assert "Building ..." in done.stderr
    done = program(tmp_path, *screen)
    assert done.returncode == 0, done.stderr
    for path in (tmp_path / "cache").rglob("*.engine"):
        path.write_bytes(path.read_bytes() + b"x")
    done = program(tmp_path, *screen)
    assert (done.returncode, "edited" in done.stderr) == (4, True)
    assert "built (the compiled engine or its sidecar was edited" in program(tmp_path, "compile", bundle.root).stdout


def test_other_devices_are_not_compiled_for(bundle: VerifiedBundle, tmp_path: Path) -> None:
    done = program(tmp_path, "compile", bundle.root, "--device", "cpu")
    assert (done.returncode, "need no compiling" in done.stderr) == (2, True)


# -- with a GPU -------------------------------------------------------------------------------------------------------


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
