import json
from pathlib import Path

import pytest

from bmd_edge.errors import UsageError
from trainer.adapt.record import BEGUN, NAME, read_adapted


def test_runs_say_together_on_how_many_films_and_how_wide(tmp_path: Path) -> None:
    for number, (films, neck) in enumerate([(120, 2.0), (80, 3.0)]):
        run = tmp_path / str(number)
        run.mkdir()
        least = {"femoral_neck": neck, "total_hip": 2.5 - number}
        (run / NAME).write_text(
            json.dumps(
                {
                    "adapted_without_dexa_on_films": films,
                    "least_scale": least,
                    "parent": {"run": "p"},
                    "makers": ["Acme", "ACME"][: number + 1],
                }
            )
        )
    (tmp_path / "plain").mkdir()
    assert read_adapted(tmp_path / "plain") is None
    both = read_adapted(tmp_path / "0", tmp_path / "plain", tmp_path / "1")
    assert both is not None
    assert both.sentence == "Adapted without DEXA on 120 films."
    assert both.least_scale == {"femoral_neck": 3.0, "total_hip": 2.5}
    assert both.makers == ("ACME", "Acme")
    assert both.runs == (tmp_path / "0", tmp_path / "1")
    assert both.facts == {"adapted_without_dexa_on_films": "120", "adapted_from_run": "p"}


def test_an_adaptation_that_was_refused_is_none(tmp_path: Path) -> None:
    (tmp_path / BEGUN).write_text("x")
    with pytest.raises(UsageError, match="not finished, or was refused"):
        read_adapted(tmp_path)
