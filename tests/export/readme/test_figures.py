"""Figures of the README are those of the committed results."""

import json
import shutil
import tomllib

from tests.whole.documents.test_readme import TABLE, TRAINER


def test_the_paper_table_is_that_of_the_committed_trainings(tmp_path):
    from trainer.paper_table.page import write_report
    from trainer.paper_table.units import TableSize

    committed = json.loads(TABLE.read_text(encoding="utf-8"))
    scale = TableSize(committed["scale"]["budget"], committed["scale"]["seeds"])
    shutil.copytree(TABLE.parent / "units", tmp_path / "units")
    assert json.loads(write_report(tmp_path, scale, committed["command"]).read_text()) == committed
    assert (tmp_path / "table.md").read_text() == TABLE.with_name("table.md").read_text(encoding="utf-8")


def test_the_page_says_which_trainings_were_validated_alike():
    """Until every recipe of the table follows one rule, a lead may be the choice of the checkpoint."""
    every: dict[str, set[str]] = {}
    for path in (TABLE.parent / "units").glob("*-*.json"):
        unit = json.loads(path.read_text(encoding="utf-8"))
        settings = tomllib.loads(unit["settings"])
        every.setdefault(f"{settings['task']} {settings['validate_every']}", set()).add(unit["recipe"])
    rivals = every["semi 1"]
    assert every == {"semi 5": {"full"}, "semi 1": rivals, "bmd 5": {"mse", "triplet", "adaptive_triplet"}}
    assert len(rivals) == 6
    words = " ".join(TRAINER.split())
    assert "it alone was validated every fifth epoch, its six rivals after every one" in words
    assert "still validated after every epoch" in TABLE.with_name("table.md").read_text(encoding="utf-8")
