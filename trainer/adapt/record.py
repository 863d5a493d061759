"""What a run folder says of its adaptation: `adapted.json`; `bmd-edge adapt` writes it, `bmd-edge export` reads it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bmd_edge.errors import UsageError
from bmd_edge.sites import SITES

NAME = "adapted.json"
BEGUN = "begun.json"
LEFT_OUT = "left_out.csv"
"""List of the films that were refused; it may stand there before anything has begun."""
TABLE = "films.csv"
"""Film table of a run folder with the regions that it was adapted to, split unlabelled."""


@dataclass(frozen=True, slots=True)
class Adapted:
    """On how many films without DEXA a network was adapted; site -> the least multiplier of its spread, with which the
    interval is on average as wide as its parent's; the run folders; what they were adapted from; and the spellings of
    the films' maker.
    """

    films: int
    least_scale: dict[str, float]
    runs: tuple[Path, ...]
    parent: dict[str, str]
    makers: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What stands beside every number."""
        return f"Adapted without DEXA on {self.films} film{'' if self.films == 1 else 's'}."

    @property
    def facts(self) -> dict[str, str]:
        """What a bundle says of it among the facts of its run."""
        return {"adapted_without_dexa_on_films": str(self.films)} | {
            f"adapted_from_{name}": value for name, value in self.parent.items()
        }


def with_other_networks(runs: Sequence[Path]) -> list[Path]:
    """The run folders, and after each those of the other networks that were adapted with it."""
    found = []
    for run in runs:
        facts = json.loads((run / NAME).read_text(encoding="utf-8")) if (run / NAME).is_file() else {}
        found += [run, *(run / name for name in facts.get("other_networks", ()))]
    return found


def read_adapted(*runs: Path) -> Adapted | None:
    """What the run folders say together; None where none of them was adapted.

    Raises:
        UsageError: an adaptation was begun in one and is not finished, or was refused.
    """
    found: list[tuple[Path, dict[str, Any]]] = []
    for run in runs:
        if (run / NAME).is_file():
            found.append((run, json.loads((run / NAME).read_text(encoding="utf-8"))))
        elif (run / BEGUN).is_file():
            raise UsageError(f"{run.name}: its adaptation is not finished, or was refused; `bmd-edge adapt` says which")
    if not found:
        return None
    least = {site: max(float(facts["least_scale"][site]) for _, facts in found) for site in SITES}
    films = max(int(facts["adapted_without_dexa_on_films"]) for _, facts in found)
    parent = {name: value for _, facts in found for name, value in facts["parent"].items()}
    makers = {maker for _, facts in found for maker in facts.get("makers", ())}
    return Adapted(films, least, tuple(run for run, _ in found), parent, tuple(sorted(makers)))
