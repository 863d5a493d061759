"""Files are written beside their place, synced, and only then renamed; the folder is synced last.

A rename may reach the disk before the data does: after a power cut the file would have its name and be empty.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bmd_edge.engine.engine_files import EngineCache
from bmd_edge.system.files import replace_file
from trainer import cache
from trainer.paper_table.plot import draw
from trainer.run import curves, run_folder


def text(path: Path) -> None:
    with replace_file(path) as file:
        file.write("text")


def engine(path: Path) -> None:
    EngineCache(path.parent).replace(path.name, b"engine")


def film(path: Path) -> None:
    cache.replace_file(path, b"film")


def settings(path: Path) -> None:
    run_folder.write_text(path, "text")


def weights(path: Path) -> None:
    run_folder.write_tensors(path, {"weight": torch.ones(3)}, {})


def plotted(path: Path) -> None:
    curves.plot_curves([{"epoch": 0, "train_loss": 1.0}], path)


def picture(path: Path) -> None:
    draw({"rows": [], "paired": {}, "learning_curve": [], "scale": {"budget": 1.0}}, path)


@pytest.mark.filterwarnings("ignore:No artists with labels")
@pytest.mark.parametrize("write", [text, engine, film, settings, weights, plotted, picture])
def test_a_file_is_on_the_disk_before_it_has_its_name(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("the old one")
    events: list[tuple[str, str, int]] = []
    sync, rename = os.fsync, os.replace

    def synced(handle: int) -> None:
        name = os.readlink(f"/proc/self/fd/{handle}")
        events.append(("sync", name, os.fstat(handle).st_size if Path(name).is_file() else 0))
        sync(handle)

    def renamed(source: Path, target: Path) -> None:
        events.append(("rename", str(source), Path(source).stat().st_size))
        assert Path(target) == path
        rename(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    write(path)
    part, size = events[0][1], path.stat().st_size
    assert Path(part).parent == tmp_path
    assert events == [("sync", part, size), ("rename", part, size), ("sync", str(tmp_path), 0)]
    assert size > 0
    assert os.listdir(tmp_path) == ["file"]
