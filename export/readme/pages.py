"""Every page, and what stands between its markers: `python -m export.readme` writes them anew."""

import functools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.system.files import replace_bytes
from calibration.study.assumptions import of_bundle
from export.readme import adapted, figures, followed, proofs, rooms, speed

ROOT = Path(__file__).parents[2]
VALIDATION = "calibration/results/validation.json"
SCORE = "export/results/score.json"


@functools.cache
def facts(path: str) -> Any:
    """A committed measurement, by its path in the checkout."""
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


def demo_output() -> str:
    """What `bmd-edge demo` prints, 118 columns wide, as a Markdown block."""
    command = [sys.executable, "-m", "bmd_edge", "demo", "--out"]
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run(
            [*command, out],
            capture_output=True,
            text=True,
            check=True,
            env={"COLUMNS": "118", "PATH": "", "NO_COLOR": "1"},
        )
    lines = (line.rstrip() for line in done.stdout.splitlines())
    return "```text\n" + "\n".join(lines).strip("\n") + "\n```"


PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {
        "demo": demo_output,
        "figures": lambda: figures.figures(facts(VALIDATION), facts(SCORE)),
        "map": rooms.packages,
    },
    "bmd_edge/README.md": {
        "throughput": lambda: speed.text(**speed.results()),
        "map": partial(rooms.text, "bmd_edge"),
    },
    "calibration/README.md": {
        "validation": lambda: figures.validation(facts(VALIDATION)),
        "score": lambda: figures.score_table(facts(SCORE)),
        "repeatability": lambda: figures.repeatability(facts("export/results/repeat.json")),
        "coverage": lambda: proofs.coverage(
            facts("calibration/results/coverage.json"), facts(SCORE), facts(VALIDATION)
        ),
        "recalibration": lambda: proofs.recalibration(facts("calibration/results/planted.json")),
        "study": lambda: proofs.study(
            facts("calibration/results/study_sizes.json"),
            facts("calibration/results/study_pooling.json"),
            *of_bundle(read_bundle(), "int8"),
        ),
        "follow": lambda: followed.follow(facts("calibration/results/follow.json")),
        "drift": lambda: proofs.drift(facts("calibration/results/drift.json")),
        "map": partial(rooms.text, "calibration"),
    },
    "export/README.md": {
        "speed": lambda: figures.int8_speed(facts("export/results/speed.json")),
        "map": partial(rooms.text, "export"),
    },
    "trainer/README.md": {
        "adaptation": lambda: adapted.adaptation(facts("trainer/results/adapt.json")),
        "table": lambda: figures.paper_table(facts("trainer/results/second_edition_table/table.json")),
        "map": partial(rooms.text, "trainer"),
    },
}
"""Page -> marker -> what makes the text between its two ends."""


def replaced(page: str, marker: str, text: str) -> str:
    """The page with `text` between `<!-- marker -->` and `<!-- /marker -->`."""
    start, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    before, rest = page.split(start)
    return f"{before}{start}\n{text}\n{end}{rest.split(end)[1]}"


def main() -> None:
    """Rewrite every page in place."""
    speed.draw_day(speed.results()["day"], speed.RESULTS / "day.png")
    for name, markers in PAGES.items():
        path = ROOT / name
        page = path.read_text(encoding="utf-8")
        for marker, text in markers.items():
            page = replaced(page, marker, text())
        replace_bytes(path, page.encode())
