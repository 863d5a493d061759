"""What an earlier command has left where a report is going to be written; it is replaced by the same figures only."""

import json
from collections.abc import Sequence
from pathlib import Path

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.errors import UsageError
from calibration.validate.validate import sha256


def check_report(
    file: Path, bundle: VerifiedBundle, tables: Sequence[Path], split: str, recalibration: Path | None = None
) -> None:
    """Look at `file`, where the figures of these tables are going to be written, before any film is read.

    Raises:
        UsageError: its folder is that of a table, or it holds the figures of another bundle, table, split or
            recalibration, or something else.
    """
    if any(file.resolve().parent == table.resolve().parent for table in tables):
        raise UsageError("--out is the folder of a table: choose another")
    if not file.is_file() or not all(table.is_file() for table in tables):  # a missing table is said where it is read
        return
    own = bundle.digest, sorted((sha256(table), split) for table in tables), recalibration and sha256(recalibration)
    if _subject(file) != own:
        raise UsageError(
            f"--out holds the {file.name} of another bundle, table, split or recalibration, which would be lost: give"
            " another --out, or delete it"
        )


def _subject(file: Path) -> object:
    """Digests of bundle, tables and recalibration that a file of figures is about, None if it is none."""
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        tables = [one["table"] for one in facts["worlds"]] if "worlds" in facts else [facts["table"]]
        about = sorted((table["sha256"], table["split"]) for table in tables)
        return facts["bundle_digest"], about, facts.get("recalibration")
    except (ValueError, KeyError, TypeError):
        return None
