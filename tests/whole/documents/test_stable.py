"""What users build on stays: nothing of the kept copy goes unless the changelog has announced it."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import typer

import bmd_edge
from bmd_edge.bundle import layout
from bmd_edge.bundle.manifest import Manifest
from bmd_edge.cli.main import EXIT_CODES, app
from bmd_edge.errors import FLAGS, REFUSALS
from bmd_edge.measure.headline import HEADLINES
from bmd_edge.report.film_report import COPIES, FILM_NOW, STATUSES, RunSummary
from bmd_edge.report.results import CSV_COLUMNS
from bmd_edge.report.schema import json_schema
from bmd_edge.screen import ledger_file

ROOT = Path(__file__).parents[3]
KEPT = ROOT / "tests" / "schemas" / "contract-0.1.json"
"""Remade at a release: `python -m tests.whole.documents.test_stable`."""


def contract() -> dict[str, list[str]]:
    """What is promised, by the rows of the table in bmd_edge/README.md."""
    return {
        "results.jsonl": sorted(properties(json_schema())),
        "results.csv": list(CSV_COLUMNS),
        "run.json": [field.name for field in fields(RunSummary)],
        "codes": [*REFUSALS, *FLAGS, *HEADLINES, *STATUSES, *FILM_NOW, *COPIES],
        "exit codes": [str(code) for code in EXIT_CODES],
        "public names": list(bmd_edge.__all__),
        "commands": sorted(commands()),
        "bundle": [f"schema {layout.SCHEMA}", *sorted(layout.ALLOWED_FILES), *(one.name for one in fields(Manifest))],
        "ledger": [f"layout {n + 1}" for n in range(ledger_file.LAYOUT)],
    }


def properties(schema: dict[str, Any], place: str = "") -> list[str]:
    found = []
    for name, one in schema.get("properties", {}).items():
        inside = one.get("items", {})
        found += [f"{place}{name}", *properties(inside, f"{place}{name}.")]
    return found


def commands() -> list[str]:
    """Every command with its options; of the workshops, which may be loaded only with their extras, the names."""
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group) or hasattr(group, "commands")
    found = []
    for name, command in group.commands.items():
        options = [one for parameter in command.params for one in parameter.opts if not getattr(parameter, "hidden", 0)]
        found += [name, *(f"{name} {one}" for one in options if one.startswith("--"))]
    return found


def gone(kept: dict[str, list[str]], now: dict[str, list[str]], changelog: str) -> dict[str, list[str]]:
    """What stands in `kept`, no longer in `now`, and in no line "Goes with the next version" of the changelog."""
    lines = re.findall(r"^- Goes with the next version: (.+(?:\n  .+)*)", changelog, re.MULTILINE)
    announced = set(re.findall(r"`([^`]+)`", "\n".join(lines)))
    lost = {part: [one for one in names if one not in {*now.get(part, ()), *announced}] for part, names in kept.items()}
    return {part: names for part, names in lost.items() if names}


def test_nothing_that_was_promised_is_gone() -> None:
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    assert gone(kept, contract(), (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")) == {}
    assert sum(map(len, kept.values())) > 200


def test_what_goes_is_announced_first() -> None:
    kept, now = {"results.csv": ["file", "band"], "ledger": ["layout 1"]}, {"results.csv": ["film", "file"]}
    assert gone(kept, now, "- `band` is no more.") == {"results.csv": ["band"], "ledger": ["layout 1"]}
    said = "## 0.1.0\n\n- Goes with the next version: `band` of results.csv (it is `headline`),\n  `layout 1`.\n- More."
    assert gone(kept, now, said) == {}


def test_the_page_has_a_row_for_all_that_is_promised() -> None:
    page = (ROOT / "bmd_edge" / "README.md").read_text(encoding="utf-8").split("## What stays?")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ")[0].strip("`") for line in page.splitlines() if line.startswith("| ")]
    assert rows[2:] == list(contract())
    assert f"`{KEPT.relative_to(ROOT)}`" in page


if __name__ == "__main__":
    KEPT.write_text(json.dumps(contract(), indent=2) + "\n", encoding="utf-8")
