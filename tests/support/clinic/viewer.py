"""Whether a viewer's parser finds the CSV's numbers in the reports: python -m tests.support.clinic.viewer --out FILE

The demo's films are read with the embedded bundle, their reports parsed by dcmjs, with which OHIF reads them, and each
number is compared with its cell of results.csv. Needs Node.js and npm, which fetches dcmjs.
"""

import argparse
import csv
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import bmd_edge
from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.report.results import write_csv
from bmd_edge.screen.screener import Screener
from bmd_edge.sites import SITES
from tests.bmd_edge.clinic.objects.said import said_of

DCMJS = "dcmjs@0.52.2"
DEMO = Path(bmd_edge.__file__).parent / "data" / "demo"
SCRIPT = Path(__file__).with_name("dcmjs_numbers.mjs")


def numbers_of_csv(path: Path, film_id: str | None = None) -> dict[tuple[str, str, str], str]:
    """(side, site, what) -> the number as it is printed in the rows of a film, the only one where none is named.

    what: bmd | low | high | t_score.
    """
    found = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if film_id not in (None, row["film_id"]):
                continue
            for site in SITES:
                for what in ("bmd", "low", "high", "t_score"):
                    if cell := row[f"{what}_{site}" + ("_gcm2" if what != "t_score" else "")]:
                        found[row["side"], site, what] = cell
    return found


def compare(place: Path) -> dict[str, Any]:
    """Read the demo's films, parse their reports, and count numbers that are missing, added or not the same."""
    subprocess.run(["npm", "install", "--no-save", "--silent", "--no-audit", "--no-fund", DCMJS], cwd=place, check=True)
    printed, reports = [], []
    with Screener(read_bundle(), "cpu", threads=1) as screener:
        for film in sorted(DEMO.glob("*.dcm")):
            report, made = said_of(film.read_bytes(), screener=screener)
            write_csv(place / "results.csv", [report])
            printed.append(numbers_of_csv(place / "results.csv"))
            reports.append(place / f"{film.stem}.dcm")
            reports[-1].write_bytes(made["sr"].data)
    node = subprocess.run(["node", SCRIPT, *reports], cwd=place, capture_output=True, text=True, check=True)
    wrong = total = 0
    for cells, parsed in zip(printed, json.loads(node.stdout), strict=True):
        expected = {" ".join(key): float(cell) for key, cell in cells.items()}
        wrong += sum(expected.get(key) != parsed.get(key) for key in expected | parsed)
        total += len(expected)
    return {"reports": len(reports), "numbers_of_results_csv": total, "missing_added_or_not_the_same": wrong}


def main() -> None:
    """Compare and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        found = compare(Path(place))
    said = {"command": "python -m tests.support.clinic.viewer", "films": "synthetic, of the demo", "parser": DCMJS}
    given.out.write_text(json.dumps(said | found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
