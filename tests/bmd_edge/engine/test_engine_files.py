"""What names, seals and opens a compiled engine. No GPU: `tests.support.toolkit` stands in for TensorRT and CUDA."""

import dataclasses
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from bmd_edge.engine.engine_files import EngineCache, EngineTarget
from bmd_edge.errors import EngineError

TARGET = EngineTarget("a" * 64, "11.0.0", "Pretend 1", "8.6", "CUDA 13000", "{}")
PLAN = b"machine code"


def only(folder: Path, suffix: str) -> Path:
    (path,) = folder.glob(f"*{suffix}")
    return path


def test_what_was_written_is_read(cache: EngineCache) -> None:
    cache.write(TARGET, PLAN, {"model": "bmd"})
    assert cache.read(TARGET) == PLAN
    sidecar = json.loads(only(cache.folder, ".json").read_text())
    assert sidecar["about"] == {"model": "bmd"}
    assert sidecar["target"] == dataclasses.asdict(TARGET)
    assert stat.S_IMODE((cache.folder / "key").stat().st_mode) == 0o600
    assert [path for path in cache.folder.iterdir() if path.name.startswith(".")] == []  # no part is left


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(EngineTarget)])
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
