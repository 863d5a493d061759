import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmd_edge.errors import UsageError
from tests.trainer.paper_table.test_units import SIZE
from trainer.paper_table.page import Hips, in_short, markdown, read_units, summary


def test_units_of_two_cohorts_are_not_mixed(tmp_path: Path) -> None:
    for seed, digest in ((0, "a"), (1, "b")):
        (tmp_path / f"mse-{seed}.json").write_text(json.dumps({"row": "mse", "seed": seed, "phantom_config": digest}))
    with pytest.raises(UsageError, match="several cohorts"):
        read_units(tmp_path)
    with pytest.raises(UsageError, match="no finished unit yet; run `bmd-edge table`"):
        read_units(tmp_path / "none")


def test_a_table_without_the_full_method_has_no_pairs() -> None:
    rng = np.random.default_rng(0)
    hips = experiment_hips(rng)
    found = {"mse": [made_up_unit("mse", 0, hips, rng)]}
    other = made_up_unit("mse_alternative", 0, hips, rng)
    found["mse_alternative"] = [{**other, "best": {"val_score": -0.04}}]
    table = summary(found, hips, SIZE, "bmd-edge table")
    assert table["paired"] == {}
    assert table["rows"][0]["settings_tried"] == 2
    label = hips["test"].labels_gcm2[:, 0]
    rmse = np.sqrt(np.mean((np.array(other["estimates_gcm2"]["test"])[:, 0] - label) ** 2))
    assert table["rows"][0]["rmse_gcm2"] == pytest.approx(rmse, abs=1e-4)  # of the better setting
    page = markdown(table)
    assert "| MSE | as in the recipe | 0.0500 |  |" in page
    assert "| MSE | weight_decay = 0.1 | 0.0400 | kept |" in page
    assert "Rows or films of the table are left out" in page
    assert "forty trainings" not in page  # that is of the whole table
    assert in_short(table) == [
        f"mse: femoral neck r {table['rows'][0]['r']:.3f}, RMSE {table['rows'][0]['rmse_gcm2']:.4f} g/cm2; total hip"
        f" r {table['rows'][1]['r']:.3f}, RMSE {table['rows'][1]['rmse_gcm2']:.4f} g/cm2 (synthetic, 30 hips, 1 seed)"
    ]
    assert table["learning_curve"] == []
    assert "Learning curve" not in page
    assert "minus each row" not in page
    parts = page.split("\n\n")
    assert [part for part in parts if part.startswith("|") and len(part.splitlines()) < 3] == []


def experiment_hips(rng: np.random.Generator) -> dict[str, Hips]:
    sets = ("test", "unseen", "second")
    return {name: Hips(rng.normal(0.8, 0.14, (30, 2)), tuple(map(str, range(30)))) for name in sets}


def made_up_unit(row: str, seed: int, hips: dict[str, Hips], rng: np.random.Generator) -> dict[str, Any]:
    found = {
        name: (one.labels_gcm2 + rng.normal(0, 0.06, one.labels_gcm2.shape)).tolist() for name, one in hips.items()
    }
    facts = {
        "phantom_config": "p",
        "second_phantom_config": "q",
        "minutes_of_runs": {f"{row}-{seed}": 3.0},
        "best": {"val_score": -0.05},
    }
    return {"row": row, "recipe": row, "seed": seed, "estimates_gcm2": found, **facts}
