"""What `info` says of a bundle."""

import json
from pathlib import Path

from tests.bmd_edge.cli.program import program


def test_info(bundle: Path) -> None:
    done = program("info", bundle)
    assert done.returncode == 0, done.stderr
    assert "A bundle of tests." in done.stdout
    facts = json.loads(program("info", bundle, "--json").stdout)
    assert facts["manifest"] == json.loads((bundle / "manifest.json").read_text())
    assert facts["digest"][:16] in done.stdout
    assert set(facts["calibration"]) == set(facts["manifest"]["models"]["bmd"]["files"])
    neck = facts["guard"]["int8"]["femoral_neck"]
    assert neck["n"] >= 1000
    assert neck["passed"] is True
    assert {"limits", "mean_shift_gcm2", "p95_shift_gcm2", "p99_shift_gcm2", "rmse_change"} <= set(neck)
    assert {"rmse_change_upper95", "flips", "per_maker"} <= set(neck)
    assert f"{neck['n']} hips moved by {neck['p99_shift_gcm2']:.4f} or less" in done.stdout
