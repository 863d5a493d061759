"""What is easily forgotten when something is added; CONTRIBUTING.md names these tests beside the steps."""

import ast
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from bmd_edge.bundle.calibration import PrecisionCalibration, SiteCalibration
from bmd_edge.errors import FLAGS, REFUSALS
from bmd_edge.measure.network_answer import gray_statistics
from bmd_edge.measure.recalibration import Recalibration, RecalibrationFile, RecalibrationLine
from bmd_edge.pixels.decoder_check import decoder_differences
from bmd_edge.pixels.transfer_syntaxes import syntaxes, transfer_syntax
from calibration.drift import studies, watched_features
from export.onnx_file.rules import broken_rules
from export.onnx_file.to_onnx import onnx_from_network
from trainer.methods.registry import METHODS
from trainer.methods.semi import SemiTask
from trainer.networks.backbones import BACKBONES
from trainer.networks.build import build
from trainer.networks.outputs import OUTPUTS
from trainer.phantom.film.maker_styles import HELD_OUT_MAKERS, STYLES, TRAINING_MAKERS
from trainer.run.settings import SemiConfig
from trainer.run.settings_file import RECIPES, read_config

ROOT = Path(__file__).parents[3]
NEVER_RAISED = {"rotated_hip"}  # stands in version 1 of the schema; no check of ours gives it


def texts(folder: str, but: str = "") -> set[str]:
    """Every text that stands in the code of a folder as a whole."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / folder).rglob("*.py") if path.name != but]
    nodes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {node.value for node in nodes if isinstance(node.value, str)}


def test_every_code_and_flag_is_given_by_a_room_and_met_in_a_test() -> None:
    codes = {*REFUSALS, *FLAGS} - NEVER_RAISED
    assert codes - texts("bmd_edge", but="errors.py") == set()
    assert codes - texts("tests") == set()
    assert NEVER_RAISED & texts("bmd_edge", but="errors.py") == set()


def test_every_compressed_transfer_syntax_has_a_film_that_tests_its_decoder() -> None:
    assert set(decoder_differences()) == {uid for uid in syntaxes() if transfer_syntax(uid).encapsulated}


def test_every_number_of_a_recalibration_changes_what_is_said() -> None:
    """A term that is fitted and not applied would stand in the file and do nothing."""
    counts = {"coverage": 0.9, "hips": 40, "subjects": 30}  # said beside the interval; no number is made of them
    terms = [field.name for field in fields(RecalibrationLine) if field.name not in counts]
    line = RecalibrationLine(**counts, **dict.fromkeys(terms, 1.0))
    bundles = PrecisionCalibration({"total_hip": SiteCalibration(1.0, 0.9, 9)}, None, None)

    def said(line: RecalibrationLine) -> tuple[float, ...]:
        overlay = Recalibration(RecalibrationFile(2, "", "", {}, {"fp32": {"total_hip": line}}, {"fp32": None}), "")
        bmd, spread = overlay.corrected(np.full(1, 0.8, np.float32), np.full(1, 0.05, np.float32), "fp32")
        return float(bmd[0]), float(spread[0]), overlay.applied_to(bundles, "fp32").sites["total_hip"].scale

    assert len(terms) >= 3
    for term in terms:
        assert said(replace(line, **{term: 1.25})) != said(line), term


def test_every_watched_figure_has_a_name() -> None:
    image = np.random.default_rng(0).random((1, 112, 112), dtype=np.float32)
    assert len(watched_features._NAMES["image"]) == len(gray_statistics(image))
    assert watched_features._NAMES["film"] == studies.FACTS
    assert set(watched_features._NAMES) == {"film", "embedding", "image", "output"}


def test_every_makers_style_is_learned_from_or_held_out() -> None:
    spare = {"F"}  # drawn only where `phantom --makers F` asks for it
    assert sorted([*TRAINING_MAKERS, *spare, *HELD_OUT_MAKERS]) == sorted(STYLES)


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_says_first_what_it_is(recipe: Path) -> None:
    first = recipe.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith(".")


def test_every_method_has_a_name_and_a_recipe() -> None:
    for path in (ROOT / "trainer" / "methods").glob("*.py"):
        import_module(f"trainer.methods.{path.stem}")
    assert set(METHODS.values()) == set(SemiTask.__subclasses__())
    read = [read_config(path.stem) for path in RECIPES.glob("*.toml")]
    assert {config.method for config in read if isinstance(config, SemiConfig)} == set(METHODS)


def test_every_backbone_can_be_asked_for() -> None:
    for name in BACKBONES:
        assert read_config("mse", {"network": name}).network == name


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_keeps_the_rules_of_exported_files(name: str, tmp_path: Path) -> None:
    network = build(name, **({"pretrained": False} if name == "effnet_lite0" else {})).eval()
    images = np.random.default_rng(0).random((2, 1, 64, 64), dtype=np.float32)
    onnx_from_network(network, images, OUTPUTS["bmd"], tmp_path / "net.onnx", {})
    assert broken_rules(tmp_path / "net.onnx") == []
