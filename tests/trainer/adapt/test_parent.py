"""The network that is adapted answers as its bundle does."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.errors import UsageError
from bmd_edge.sites import SITES
from trainer.adapt.parent import input_facts, networks_of, parent_of
from trainer.methods.batch_statistics import norms
from trainer.networks.build import load_run


def images(n: int = 12) -> torch.Tensor:
    size = read_bundle().inputs["bmd"].size_px
    coarse = np.random.default_rng(0).random((n, 1, 14, 14), dtype=np.float32)
    return torch.nn.functional.interpolate(torch.from_numpy(coarse), size, mode="bilinear")


def test_networks_of_a_bundle_become_runs_whose_norms_know_films(tmp_path: Path) -> None:
    bundle = read_bundle()
    before = [network(images())[0] for _, network in networks_of(bundle)]
    known = parent_of(bundle.root, tmp_path, [images()[:6], images()[6:]])
    assert known.facts == {"bundle": bundle.manifest.version, "bundle_digest": bundle.digest}
    assert known.scale == pytest.approx([bundle.calibration["fp32"].sites[site].scale for site in SITES])
    assert len(known.runs) == len(before) == 2
    for run, answer in zip(known.runs, before, strict=True):
        network = load_run(run)
        assert torch.allclose(network(images())[0], answer, atol=2e-4)
        seen = []
        first = norms(network)[0]
        first.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
        network(images())
        values = seen[0].transpose(0, 1).flatten(1)
        assert torch.allclose(first.running_mean, values.mean(1), atol=1e-4)
        assert torch.allclose(first.running_var, values.var(1, correction=0), rtol=1e-3, atol=1e-6)
    golden = bundle.golden()
    with torch.no_grad():
        found = [load_run(run)(torch.from_numpy(golden["bmd/input/image"]))[0] for run in known.runs]
    assert torch.stack(found).mean(0).numpy() == pytest.approx(golden["bmd/fp32/bmd"], abs=5e-4)
    assert input_facts(None) == input_facts(bundle.root) == bundle.inputs["bmd"]
    assert input_facts(known.runs[0]) == bundle.inputs["bmd"]


def test_another_network_is_not_taken_for_the_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = read_bundle()
    golden = bundle.golden()
    golden["bmd/fp32/bmd"] = golden["bmd/fp32/bmd"] + 0.01
    monkeypatch.setattr(type(bundle), "golden", lambda _: golden)
    with pytest.raises(UsageError, match="cannot be read back: give the run folder"):
        networks_of(bundle)


def test_what_is_neither_bundle_nor_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run folder"):
        parent_of(tmp_path, tmp_path / "scratch", [])
