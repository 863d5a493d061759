"""What users build on stays: nothing of the kept copy goes unless the changelog has announced it."""

import json
import re
from dataclasses import fields
from functools import reduce
from inspect import signature
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import typer

import bmd_edge
from bmd_edge.bundle import layout
from bmd_edge.bundle.manifest import Manifest
from bmd_edge.cli.main import EXIT_CODES, app
from bmd_edge.cli.workshops import WORKSHOPS, loaded
from bmd_edge.errors import FLAGS, REFUSALS
from bmd_edge.measure.headline import HEADLINES
from bmd_edge.report.film_report import COPIES, FILM_NOW, STATUSES, RunSummary
from bmd_edge.report.results import CSV_COLUMNS
from bmd_edge.report.schema import json_schema
from bmd_edge.screen import ledger_file

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "bmd_edge" / "README.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
SCHEMAS = ROOT / "tests" / "schemas"
KEPT = SCHEMAS / f"contract-{bmd_edge.__version__.rpartition('.')[0]}.json"
"""Remade until its version is released: `python -m tests.whole.documents.test_stable`."""


def contract() -> dict[str, list[str]]:
    """What is promised, by the rows of the table in bmd_edge/README.md."""
    return {
        "results.jsonl": sorted(properties(json_schema())),
        "results.csv": list(CSV_COLUMNS),
        "run.json": [field.name for field in fields(RunSummary)],
        "codes": [*REFUSALS, *FLAGS, *HEADLINES, *STATUSES, *FILM_NOW, *COPIES],
        "exit codes": [str(code) for code in EXIT_CODES],
        "public names": public_names(),
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
    """Every command with its options; of the workshops that need more than the runtime's extra, the names."""
    loadable = {name: loaded(one) for name, one in WORKSHOPS.items() if one.extra == "cpu"}
    return words_of("", typer.main.get_command(app).commands | loadable)


def words_of(before: str, group: dict[str, Any]) -> list[str]:
    found = []
    for name, command in group.items():
        options = [one for parameter in command.params for one in parameter.opts if not getattr(parameter, "hidden", 0)]
        found += [f"{before}{name}", *(f"{before}{name} {one}" for one in options if one.startswith("--"))]
        found += words_of(f"{before}{name} ", getattr(command, "commands", {}))
    return found


def public_names() -> list[str]:
    """What the page says stays: `f`, `f(argument)`, `Class.attribute`, `Class.method`, `Class.method(argument)`."""
    found = []
    for row in PAGE.split("| public name |")[1].split("\n\n")[0].splitlines()[2:]:
        names, inside = (re.findall(r"`([^`]+)`", cell) for cell in row.strip("|").split("|"))
        for name, *arguments in map(entries, names):
            attributes = [one for span in inside if span not in bmd_edge.__all__ for one in entries(span)]
            found += [name, *arguments, *(f"{name}.{one}" for one in attributes)]
    return found


def entries(span: str) -> list[str]:
    """`f(a, b)` as f, f(a), f(b)."""
    name, _, arguments = span.rstrip(")").partition("(")
    return [name, *(f"{name}({one})" for one in arguments.split(", ") if one)]


def attribute(target: Any, name: str) -> Any:
    """A member of a module or an object; of a class what it is by its annotation, for fields have no value there."""
    found = getattr(target, name, None)
    if isinstance(found, property):
        return get_type_hints(found.fget)["return"]
    return get_type_hints(target).get(name, found) if isinstance(target, type) else found


def gone(kept: dict[str, list[str]], now: dict[str, list[str]], changelog: str) -> dict[str, list[str]]:
    """What stands in `kept`, no longer in `now`, and under no "Goes with the next version" of the changelog."""
    parts = re.findall(r"^### Goes with the next version\n(.+?)(?=^#|\Z)", changelog, re.MULTILINE | re.DOTALL)
    announced = set(re.findall(r"^- `([^`]+)`", "\n".join(parts), re.MULTILINE))
    lost = {part: [one for one in names if one not in {*now.get(part, ()), *announced}] for part, names in kept.items()}
    return {part: names for part, names in lost.items() if names}


@pytest.mark.parametrize("file", sorted(SCHEMAS.glob("contract-*.json")), ids=lambda file: file.stem)
def test_nothing_that_was_promised_is_gone(file: Path) -> None:
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert gone(kept, contract(), CHANGELOG) == {}
    assert sum(map(len, kept.values())) > 200


def test_the_copy_of_a_version_that_is_not_released_is_what_is_promised_now() -> None:
    assert f"## {bmd_edge.__version__} (unreleased)" in CHANGELOG, "released: this test goes, the copy stays"
    assert json.loads(KEPT.read_text(encoding="utf-8")) == contract(), "python -m tests.whole.documents.test_stable"


def test_every_public_name_has_what_the_page_says_and_stands_on_it() -> None:
    names = public_names()
    assert {name for name in names if name.isidentifier()} == set(bmd_edge.__all__)
    assert len(names) == len(set(names)) > 140
    for entry in names:
        path, _, argument = entry.rstrip(")").partition("(")
        found = reduce(attribute, path.split("."), bmd_edge)
        assert found is not None, entry
        assert not argument or argument in signature(found).parameters, entry
    assert attribute(bmd_edge.Screener, "no_such") is None


def test_what_goes_is_announced_first() -> None:
    kept, now = {"results.csv": ["file", "band"], "ledger": ["layout 1"]}, {"results.csv": ["film", "file"]}
    assert gone(kept, now, "- `band` is no more.") == {"results.csv": ["band"], "ledger": ["layout 1"]}
    announced = "### Goes with the next version\n\n- `band`: it is `headline`.\n- `layout 1`.\n\n### It does\n\n- More."
    assert gone(kept, now, announced) == {}
    assert gone(kept, now, announced.replace("- `layout 1`", "- More")) == {"ledger": ["layout 1"]}


def test_the_page_has_a_row_for_all_that_is_promised() -> None:
    page = PAGE.split("## What stays?")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ")[0].strip("`") for line in page.splitlines() if line.startswith("| ")]
    assert rows[2:] == list(contract())
    assert f"`{KEPT.relative_to(ROOT)}`" in page


if __name__ == "__main__":
    KEPT.write_text(json.dumps(contract(), indent=2) + "\n", encoding="utf-8")
