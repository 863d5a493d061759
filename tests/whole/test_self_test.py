"""Whoever opens the networks of a bundle tests them first: one that gives other numbers here gives none."""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bmd_edge import open_bundle
from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.bundle.layout import GOLDEN
from bmd_edge.cli import doctor
from bmd_edge.errors import EngineError
from bmd_edge.screen.screener import open_screener
from bmd_edge.screen.workers import Crew
from bmd_edge.table.film_table import HipRow, write_table
from calibration.pairs.answers import read_films
from export.proofs.phantom_rois import answers_of
from tests.support.bundles import tiny_bundle
from trainer.images import cut_rois


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, VerifiedBundle]:
    """Whole bundles, each with one network that says something else than the bundle expects."""
    return {model: another(tmp_path_factory.mktemp("bundle") / model, model) for model in ("finder", "bmd")}


def another(folder: Path, model: str) -> VerifiedBundle:
    tiny_bundle(folder)
    with np.load(folder / GOLDEN) as stored:
        golden = {name: stored[name] for name in stored}
    for name in golden:
        if name.startswith(f"{model}/") and "/input/" not in name:
            golden[name] += np.float32(0.1)
    np.savez_compressed(folder / GOLDEN, **golden)
    raw = (folder / GOLDEN).read_bytes()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][GOLDEN] = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return read_bundle(folder)


def read_one(bundle: VerifiedBundle) -> None:
    open_bundle(bundle.root).screener(device="cpu").close()


def screen(bundle: VerifiedBundle) -> None:
    with Crew(partial(open_screener, bundle.root, device="cpu"), 1):
        pass


def validate(bundle: VerifiedBundle) -> None:
    read_films(bundle.root, {"any.dcm": bundle.root / GOLDEN}, "cpu", 1, lambda _done, _total: None)


@pytest.mark.parametrize("opens", [read_one, screen, validate])
@pytest.mark.parametrize("model", ["finder", "bmd"])
def test_a_network_that_fails_reads_no_film(
    bundles: dict[str, VerifiedBundle], model: str, opens: Callable[[VerifiedBundle], None]
) -> None:
    with pytest.raises(EngineError, match=f"self-test of {model} .* failed"):
        opens(bundles[model])


@pytest.mark.parametrize("model", ["finder", "bmd"])
def test_doctor_says_which_network_fails(bundles: dict[str, VerifiedBundle], model: str) -> None:
    bundle = bundles[model]
    failed = {one.what for one in doctor.examine(bundle.root) if not one.sound and "self-test" in one.what}
    assert failed == {f"self-test of {model}, {precision}" for precision in bundle.precisions(model)}


def test_a_finder_that_fails_cuts_no_region(
    bundles: dict[str, VerifiedBundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cut_rois, "read_bundle", lambda: bundles["finder"])
    (tmp_path / "film.dcm").write_bytes(b"never read")
    write_table(tmp_path / "films.csv", [HipRow(film="film.dcm", subject="S", side="R", split="unlabelled")])
    with pytest.raises(EngineError, match=r"self-test of finder .* failed"):
        cut_rois.roi_table(tmp_path / "films.csv")


def test_a_network_that_fails_proves_nothing(bundles: dict[str, VerifiedBundle]) -> None:
    with pytest.raises(EngineError, match=r"self-test of bmd .* failed"):
        answers_of(bundles["bmd"], "fp32", [])
