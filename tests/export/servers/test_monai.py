"""The MONAI bundle: whole, after MONAI's keys, and run by MONAI itself with the shipped numbers."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import bmd_edge
from bmd_edge import open_bundle
from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.errors import BundleError, UsageError
from export.servers import monai
from tests.bmd_edge.cli.program import program
from tests.support.bundles import tiny_bundle

ROOT = Path(__file__).parents[3]
DEMO = Path(bmd_edge.__file__).parent / "data" / "demo"
TENSOR = {
    "type": "object",
    "required": ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range"],
    "properties": {
        **{name: {"type": "string"} for name in ("type", "format", "dtype")},
        "num_channels": {"type": "integer"},
        "spatial_shape": {"type": "array", "items": {"type": ["string", "integer"]}},
        "value_range": {"type": "array", "items": {"type": "number"}},
        "channel_def": {"type": "object"},
    },
}
TENSORS = {"type": "object", "minProperties": 1, "additionalProperties": TENSOR}
NETWORK = {"type": "object", "required": ["inputs", "outputs"], "properties": {"inputs": TENSORS, "outputs": TENSORS}}
TEXTS = [
    *("schema", "version", "monai_version", "pytorch_version", "numpy_version", "task", "description", "authors"),
    *("copyright", "data_source", "data_type", "image_classes", "pred_classes", "intended_use", "name"),
]
KEYS = {
    "type": "object",
    "required": [*TEXTS, "required_packages_version", "network_data_format", "finder_data_format"],
    "properties": {
        **{name: {"type": "string", "minLength": 1} for name in TEXTS},
        "changelog": {"type": "object"},
        "required_packages_version": {"type": "object"},
        "eval_metrics": {"type": "object"},
        "references": {"type": "array", "items": {"type": "string"}},
        "network_data_format": NETWORK,
        "finder_data_format": NETWORK,
    },
    "additionalProperties": False,
}
"""The keys of MONAI's schema for metadata (meta_schema_20240725.json), which lies on a server of theirs."""


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> tuple[VerifiedBundle, Path]:
    bundle, out = read_bundle(), tmp_path_factory.mktemp("monai") / "out"
    monai.write_monai(bundle, out)
    return bundle, out


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_metadata_has_the_keys_that_monai_asks_for(embedded: tuple[VerifiedBundle, Path]) -> None:
    bundle, out = embedded
    found = read(out / "configs" / "metadata.json")
    jsonschema.validate(found, KEYS)
    assert found["version"] == bundle.manifest.version
    assert found["network_data_format"]["inputs"]["image"]["spatial_shape"] == [112, 112]
    assert found["network_data_format"]["outputs"]["bmd"]["channel_def"] == {"0": "femoral_neck", "1": "total_hip"}
    assert found["finder_data_format"]["outputs"]["heatmaps"]["num_channels"] == 6
    assert 0.05 < found["eval_metrics"]["rmse_gcm2_total_hip_int8"] < 0.2
    for word in ("never on patients", "Research use only", "confirm by DXA"):
        assert word in found["description"]


def test_the_folder_holds_the_bundle_as_it_is_and_says_what_it_is_for(embedded: tuple[VerifiedBundle, Path]) -> None:
    bundle, out = embedded
    assert read_bundle(out / "models" / "bmd_edge").digest == bundle.digest
    assert (out / "LICENSE").read_text(encoding="utf-8") == (ROOT / "LICENSE").read_text(encoding="utf-8")
    card = (out / "docs" / "README.md").read_text(encoding="utf-8")
    for words in ("Research use only", "### Accuracy", "RMSE against DEXA", bundle.digest, "never on patients"):
        assert words in card
    data = (out / "docs" / "data_license.txt").read_text(encoding="utf-8")
    assert "trained on: digital hip phantom" in data
    assert "patent" in data
    assert sorted(one.name for one in out.iterdir()) == ["LICENSE", "configs", "docs", "models"]


def run_by_monai(out: Path, cwd: Path, *options: object) -> subprocess.CompletedProcess[str]:
    place = os.environ | {"PYTHONPATH": str(ROOT)}
    config = ["--meta_file", out / "configs/metadata.json", "--config_file", out / "configs/inference.json"]
    command = [sys.executable, "-m", "monai.bundle", "run", *config, "--bundle_root", out, *options]
    return subprocess.run([*map(str, command)], cwd=cwd, env=place, capture_output=True, text=True, check=False)


def test_monai_runs_it_on_the_demo_films_and_gets_the_shipped_numbers(
    embedded: tuple[VerifiedBundle, Path], tmp_path: Path
) -> None:
    pytest.importorskip("monai", reason="MONAI is not installed: its bundle is written, not run")
    _, out = embedded
    assert monai.TRIED["pytorch_version"] == version("torch").partition("+")[0]
    assert monai.TRIED["monai_version"] == version("monai")
    results = tmp_path / "results.jsonl"
    done = run_by_monai(out, tmp_path, "--dataset_dir", DEMO, "--output", results, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    with open_bundle().screener(device="cpu") as screener:
        wanted = [screener.read(path, file=path.name).to_dict() for path in sorted(DEMO.iterdir())]
    assert found == json.loads(json.dumps(wanted))
    assert {one["status"] for one in found} == {"read", "refused"}
    assert [path.name for path in tmp_path.iterdir()] == ["results.jsonl"]


def test_a_bundle_that_was_edited_in_there_is_not_opened(tmp_path: Path) -> None:
    monai.write_monai(tiny_bundle(tmp_path / "b"), tmp_path / "out")
    model = tmp_path / "out" / "models" / "bmd_edge" / "bmd.onnx"
    model.write_bytes(model.read_bytes() + b"\0")
    with pytest.raises(BundleError, match=r"bmd\.onnx does not have the size the manifest states"):
        open_bundle(tmp_path / "out" / "models" / "bmd_edge")


def test_bad_input_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b")
    done = program("bundle", "monai", bundle.root, tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"out holds bundle test, digest {bundle.digest[:16]}, without a signature; see " in done.stdout
    done = program("bundle", "monai", bundle.root, tmp_path / "other", "--key", tmp_path / "public.pem")
    assert (done.returncode, "the bundle is not signed" in done.stderr) == (4, True)
    with pytest.raises(UsageError, match="out exists: give a new folder"):
        monai.write_monai(bundle, tmp_path / "out")
    card = bundle.root / "MODEL_CARD.md"
    card.write_bytes(card.read_bytes()[:-1])
    with pytest.raises(BundleError, match=r"MODEL_CARD\.md does not have the size"):
        monai.write_monai(bundle, tmp_path / "other")
    done = program("bundle", "monai", bundle.root, tmp_path / "other")
    assert (done.returncode, done.stdout) == (4, "")
    assert "copy the bundle again from where it was made" in done.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == ["b", "out"]
