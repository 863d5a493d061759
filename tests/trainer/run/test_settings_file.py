import json
from pathlib import Path

import pytest

from bmd_edge.errors import UsageError
from trainer.methods.registry import METHODS
from trainer.networks.backbones import BACKBONES
from trainer.run.settings import SemiConfig, bounds
from trainer.run.settings_file import RECIPES, read_config, to_toml

FINISHED = sorted((RECIPES.parent / "results" / "units").glob("*-*.json"))


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("explained", [False, True])
@pytest.mark.parametrize("recipe", sorted(path.stem for path in RECIPES.glob("*.toml")))
def test_dump_reads_back_equal(tmp_path: Path, recipe: str, explained: bool) -> None:
    config = read_config(recipe)
    assert read_config(written(tmp_path, to_toml(config, explained))) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'task = "bmd"\nepoch = 3',
            "unknown setting 'epoch' \\(did you mean epochs\\?\\); `bmd-edge train bmd",
        ),
        ('task = "bmd"\nmethod = 3', "unknown setting 'method'"),
        ("epochs = 3", "task must be one of bmd, semi, finder"),
        ('task = "findr"', r"task must be one of bmd, semi, finder \(did you mean finder\?\)"),
        ('task = "bmd"\nepochs = "3"', "epochs = '3' is not of the type int"),
        ('task = "bmd"\nepochs = true', "epochs = True is not of the type int"),
        ('task = "bmd"\nepochs = 0', "epochs must be above 0"),
        ('task = "bmd"\nlr = nan', "lr must be above 0"),
        ('task = "bmd"\nweight_decay = inf', "weight_decay must be at least 0"),
        ('task = "bmd"\nwidth = inf', "width must be above 0 and at most 1"),
        ('task = "bmd"\nscale = -0.1', "scale must be at least 0"),
        ('task = "bmd"\ntriplet_alpha = "sqr"', r"triplet_alpha must be one of sqrt, abs, one \(did you mean sqrt\?\)"),
        ('task = "bmd"\nclean_share = 1.5', "clean_share must be between 0 and 1"),
        ('task = "bmd"\ntriplet_weight = -1', "triplet_weight must be at least 0"),
        ('task = "bmd"\nval_splits = ["train"]', "train is in train_splits and val_splits"),
        ('task = "bmd"\ntrain_splits = ["calibrate"]', "train_splits takes splits of train, val, test"),
        ('task = "bmd"\nval_splits = []', "val_splits takes splits of"),
        ('task = "bmd"\nshift_mm = 9', "leave the stored region, which has 10.4 mm room"),
        ('task = "bmd"\nwidth = 2.0', "width must be above 0 and at most 1"),
        ('task = "semi"\nmethod = "pi_model"\ncommittee = 2', "only self_training asks a committee"),
        ('task = "semi"\ncommittee = 2\nseed = 1000', "seed must be below 1000"),
        ('task = "finder"\nscale = [1.0]', "scale takes 2 numbers"),
        ('task = "finder"\nscale = [1.2, 0.85]', "scale must be a range above 0"),
        ('task = "finder"\nkind_weights = [1.0]', "kind_weights takes 6 numbers"),
        ('task = "finder"\nsigma_cells = 0', "sigma_cells must be above 0"),
        ('task = "finder"\nchannels = [16, 16, 16, 16, 8]', "multiples of 16"),
        ("task =", "not TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_config(written(tmp_path, text))


def test_words_of_a_choice_are_what_there_is() -> None:
    limits = bounds(SemiConfig)
    assert str(limits["method"]) == f"one of {', '.join(METHODS)}"
    assert str(limits["network"]) == f"one of {', '.join(BACKBONES)}"


@pytest.mark.parametrize("place", FINISHED, ids=lambda place: place.stem)
def test_settings_of_finished_runs_are_written_as_they_were(tmp_path: Path, place: Path) -> None:
    """A run resumes only under the same text, and its folder is named by the hash of it."""
    text = json.loads(place.read_text(encoding="utf-8"))["settings"]
    assert to_toml(read_config(written(tmp_path, text))) == text


def test_missing_file_lists_the_recipes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are adaptive_triplet, bmd, coral, dare_gram, finder, full"):
        read_config(tmp_path / "none.toml")
