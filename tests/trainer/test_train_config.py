import dataclasses
from pathlib import Path

import pytest

from bmd_edge.errors import UsageError
from trainer.run.settings import BmdConfig, FinderConfig, SemiConfig
from trainer.run.settings_file import RECIPES, explanations, read_config, to_toml


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", [BmdConfig, SemiConfig, FinderConfig])
def test_every_setting_is_explained(kind: type[BmdConfig | FinderConfig]) -> None:
    docs = explanations(kind)
    for field in dataclasses.fields(kind):
        assert docs[field.name].endswith(".")
        assert "\n" not in docs[field.name]


@pytest.mark.parametrize("explained", [False, True])
@pytest.mark.parametrize("recipe", sorted(path.stem for path in RECIPES.glob("*.toml")))
def test_dump_reads_back_equal(tmp_path: Path, recipe: str, explained: bool) -> None:
    config = read_config(recipe)
    assert read_config(written(tmp_path, to_toml(config, explained))) == config


def test_changes_replace_settings() -> None:
    config = read_config("bmd", {"epochs": "7", "network": "vgg11_se", "train_splits": '["train", "test"]'})
    assert isinstance(config, BmdConfig)
    assert (config.epochs, config.network, config.train_splits) == (7, "vgg11_se", ("train", "test"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('task = "bmd"\nepoch = 3', "unknown setting 'epoch'"),
        ('task = "bmd"\nmethod = 3', "unknown setting 'method'"),
        ("epochs = 3", "task must be one of bmd, semi, finder"),
        ('task = "hand"', "task must be one of"),
        ('task = "bmd"\nepochs = "3"', "epochs = '3' is not of the type int"),
        ('task = "bmd"\nepochs = true', "epochs = True is not of the type int"),
        ('task = "bmd"\nepochs = 0', "epochs must be above 0"),
        ('task = "bmd"\ntriplet_alpha = "cube"', "triplet_alpha must be one of sqrt, abs, one"),
        ('task = "bmd"\nclean_share = 1.5', "clean_share must lie between 0 and 1"),
        ('task = "bmd"\ntriplet_weight = -1', "triplet_weight must not be negative"),
        ('task = "bmd"\nval_splits = ["train"]', "train is in train_splits and val_splits"),
        ('task = "bmd"\ntrain_splits = ["calibrate"]', "train_splits takes splits of train, val, test"),
        ('task = "bmd"\nval_splits = []', "val_splits takes splits of"),
        ('task = "bmd"\nshift_mm = 9', "leave the stored ROI, which has 10.4 mm room"),
        ('task = "bmd"\nwidth = 2.0', "width must be above 0 and at most 1"),
        ('task = "semi"\nmethod = "pi_model"\ncommittee = 2', "only self_training asks a committee"),
        ('task = "semi"\ncommittee = 2\nseed = 1000', "seed must be below 1000"),
        ('task = "finder"\nscale = [1.0]', "scale takes 2 numbers"),
        ('task = "finder"\nchannels = [16, 16, 16, 16, 8]', "multiples of 16"),
        ("task =", "not TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_config(written(tmp_path, text))


def test_missing_file_lists_the_recipes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are adaptive_triplet, bmd, finder, full"):
        read_config(tmp_path / "none.toml")
