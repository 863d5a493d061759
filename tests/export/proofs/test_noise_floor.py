"""What noise in the last digits does, on a network whose answer is known."""

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.table.film_table import write_table
from export.proofs import noise_floor
from export.proofs.noise_floor import DRAWS, NOISE, main, moved
from tests.support.stand_in import roi_row


class Sum:
    """Answers with the sum of an image, and with that sum in steps of .5."""

    def run(self, feeds):
        total = feeds["image"].astype(np.float64).sum(axis=(1, 2, 3))
        return {"bmd": np.stack([total, np.rint(2 * total) / 2], axis=1)}


def test_a_change_is_that_of_the_mean_over_the_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise_floor, "open_engine", contextmanager(lambda *_, **__: iter([Sum()])))
    images = np.full((7, 3, 1, 4, 4), 0.3, np.float32)
    found = moved(read_bundle(), "fp32", images, seed=5)
    random = np.random.default_rng(5)
    for draw in range(DRAWS):
        noise = random.normal(0, NOISE, images.shape).astype(np.float32)
        added = (images + noise).astype(np.float64) - images
        np.testing.assert_allclose(found[draw, :, 0], np.abs(added.sum(axis=(2, 3, 4)).mean(axis=1)), rtol=1e-6)
    assert not found[..., 1].any()  # 4.8 lies far from the next half


def test_the_embedded_bundle_is_measured_on_the_hips_of_a_table(tmp_path: Path) -> None:
    write_table(tmp_path / "films.csv", [replace(roi_row(tmp_path, index), split="calibrate") for index in range(4)])
    out = tmp_path / "noise.json"
    said: list[object] = []
    assert main([f"{tmp_path / 'films.csv'}", "--n", "3", "--out", str(out)], said.append) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["hips"] == 3
    assert found["bundle_digest"] == read_bundle().digest
    assert found["fp32"]["largest"] < 1e-4  # float32 sums, nothing that rounds
    assert len(said) == 2
    assert str(tmp_path) not in found["command"]
