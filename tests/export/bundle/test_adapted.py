"""A bundle of an adapted network says so beside every number, and its interval is its parent's or wider."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.bundle.calibration import SiteCalibration
from bmd_edge.errors import BundleError, TableError
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import read_table, write_table
from export.bundle import adapted as module
from export.bundle.adapted import check_int8, never_narrower
from export.make_bundle import Options, export_bundle
from export.onnx_file.from_run import SPECS
from tests.support.small_runs import STATEMENT, finder_part
from trainer.adapt.record import NAME, TABLE, Adapted


def adapted_copy(folder: Path, run: Path, least: dict[str, float]) -> Path:
    """The run of the bundle in `folder`, as adapted to its films without their BMD."""
    shutil.copytree(folder / "run", run)
    for name in ("config.toml", "split.json"):  # which every training leaves
        (run / name).touch()
    (run / NAME).write_text(
        json.dumps(
            {
                "adapted_without_dexa_on_films": 137,
                "least_scale": least,
                "parent": {"bundle": "x"},
                "makers": ["ACME", "Acme"],
            }
        )
    )
    home = folder / "cohort" / "films.csv"
    (run / "clinic").symlink_to(home.parent)
    rows = [
        dataclasses.replace(
            row, film=f"clinic/{row.film}", split="unlabelled", bmd_gcm2=dict.fromkeys(SITES), scale=None
        )
        for row in read_table(home)[:24]
    ]
    write_table(run / TABLE, rows)
    return run


def test_an_interval_is_widened_and_never_made_narrower() -> None:
    fitted = {site: SiteCalibration(2.0, 0.9, 44) for site in SITES}
    least = Adapted(137, {"femoral_neck": 3.5, "total_hip": 1.5}, (), {}, ())
    assert {site: one.scale for site, one in never_narrower(fitted, least).items()} == {
        "femoral_neck": 3.5, "total_hip": 2.0,
    }  # fmt: skip
    assert never_narrower(fitted, None) == fitted


def test_the_bundle_says_on_how_many_films(made: tuple[Path, VerifiedBundle], tmp_path: Path) -> None:
    folder, before = made
    run = adapted_copy(folder, tmp_path / "run", {"femoral_neck": 1e3, "total_hip": 1e-3})
    said: list[str] = []
    bundle = export_bundle(
        [run], folder / "cohort" / "films.csv", tmp_path / "out", STATEMENT, finder=finder_part(folder),
        options=Options(int8=False), progress=said.append,
    )  # fmt: skip
    only = " For films of one maker only: ACME, Acme. Adapted without DEXA on 137 films."
    assert bundle.manifest.validity.notice.endswith(only)
    assert bundle.flags("acme") == ()
    assert bundle.flags("Other") == ("other_maker",)
    assert "Adapted without DEXA on 137 films." in (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert bundle.calibration["fp32"].sites["femoral_neck"].scale == 1e3
    plain = before.calibration["fp32"].sites["total_hip"]
    assert bundle.calibration["fp32"].sites["total_hip"] == plain
    assert bundle.manifest.provenance.runs["bmd"]["adapted_from_bundle"] == "x"
    assert "Adapted" not in before.manifest.validity.notice


def test_int8_is_held_against_fp32_on_the_clinics_films(
    made: tuple[Path, VerifiedBundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, bundle = made
    known = Adapted(137, {}, (adapted_copy(folder, tmp_path / "run", {}),), {}, ())
    files = {name: bundle.model_path("bmd", name) for name in ("fp32", "int8")}
    said: list[str] = []
    monkeypatch.setattr(module, "LIMITS", dataclasses.replace(module.LIMITS, mean_shift_gcm2=1.0, p99_shift_gcm2=1.0))
    check_int8(known, files, SPECS["bmd"], said.append)
    assert said[0].startswith("int8: moves 24 hips that the network was adapted to by 0.")
    monkeypatch.setattr(module, "LIMITS", dataclasses.replace(module.LIMITS, p99_shift_gcm2=0.0))
    with pytest.raises(BundleError, match=r"INT8 refused, on the films .*99th percentile .*--no-int8"):
        check_int8(known, files, SPECS["bmd"], said.append)
    (tmp_path / "run" / "clinic").unlink()
    with pytest.raises(TableError, match="cannot be read"):
        check_int8(known, files, SPECS["bmd"], said.append)
