import dataclasses

import pytest

from trainer.run.settings import BmdConfig, FinderConfig, SemiConfig
from trainer.run.settings_file import explanations, read_config


@pytest.mark.parametrize("kind", [BmdConfig, SemiConfig, FinderConfig])
def test_every_setting_is_explained(kind: type[BmdConfig | FinderConfig]) -> None:
    docs = explanations(kind)
    for field in dataclasses.fields(kind):
        assert docs[field.name].endswith(".")
        assert "\n" not in docs[field.name]


def test_changes_replace_settings() -> None:
    config = read_config("bmd", {"epochs": "7", "network": "vgg11_se", "train_splits": '["train", "test"]'})
    assert isinstance(config, BmdConfig)
    assert (config.epochs, config.network, config.train_splits) == (7, "vgg11_se", ("train", "test"))
