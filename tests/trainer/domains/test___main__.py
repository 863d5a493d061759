"""What the command says before it begins."""

from pathlib import Path

import pytest

from trainer.domains.__main__ import cost
from trainer.domains.design import VALIDATION, Size, Unit


def test_the_cost_is_said_of_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    said = cost(Size(), tmp_path)
    assert said.startswith("13690 films, 6 starts and ")
    assert float(said.partition("about ")[2].split()[0]) < 7
    (tmp_path / f"{Unit('coral', VALIDATION, 1000, 0).name}.json").write_text("{}")
    less = cost(Size(), tmp_path)
    adaptations = [int(text.partition(" starts and ")[2].split()[0]) for text in (said, less)]
    assert adaptations[0] - adaptations[1] == 1
