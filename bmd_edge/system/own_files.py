"""Which of this program's own files or folders a path is: for the message about one that was given in another's place.

A kind is told by its marks alone; whether the file is sound, and of this version, its own reader says.
"""

import json
import tomllib
from pathlib import Path
from typing import NamedTuple

from bmd_edge.system.files import NotRegular, TooLarge, read_file

_MOST_BYTES = 16 * 1024**2
_READ_ONLY = "no command takes it"


class Own(NamedTuple):
    """What a file or folder is, with what makes it; and where it belongs."""

    what: str
    place: str


OWN = {
    "bundle": Own("a bundle (a folder, of `bmd-edge export`)", "--bundle"),
    "bundle_file": Own("a file of a bundle", "--bundle takes its folder"),
    "clinic": Own("the settings of a clinic box (of `bmd-edge clinic init`)", "`bmd-edge clinic`"),
    "cohort": Own("a folder with a film table in it, films.csv", "--table takes that file"),
    "draft": Own("the draft of a plan (of `bmd-edge study plan`)", "`bmd-edge study freeze`"),
    "figures": Own("a file of figures, of `bmd-edge world` or `bmd-edge study pool`", _READ_ONLY),
    "film": Own("a DICOM film", "`bmd-edge screen`"),
    "pairs": Own("the pairs of a validation (of `bmd-edge validate`)", _READ_ONLY),
    "plan": Own("a frozen plan (of `bmd-edge study freeze`)", "`bmd-edge validate --plan`"),
    "recalibration": Own("a recalibration (of `bmd-edge calibrate`)", "--recalibration"),
    "repeatability": Own("a repeatability (of `bmd-edge precision`)", "`bmd-edge follow --repeatability`"),
    "results": Own("a folder of results (of `bmd-edge screen`)", "`bmd-edge follow` or `bmd-edge drift`"),
    "results_file": Own("a file of results (of `bmd-edge screen`)", "follow and drift take its folder"),
    "run": Own("the folder of a training (of `bmd-edge train`)", "`bmd-edge export`"),
    "settings": Own("the settings of a training (TOML)", "`bmd-edge train`"),
    "summary": Own("a summary (of `bmd-edge validate --summary`)", "`bmd-edge study pool`"),
    "table": Own("a film table (CSV, one row per hip)", "--table"),
    "validation": Own("a file of figures (of `bmd-edge validate`)", "`bmd-edge study plan --pilot`"),
}
"""Every kind that `mistaken` tells."""

_FOLDERS = {
    "bundle": ("manifest.json", "finder.onnx"),
    "results": ("ledger.sqlite", "run.json"),
    "run": ("config.toml", "split.json"),
    "cohort": ("films.csv",),
}
_KEYS = {
    "draft": {"kind", "assumptions", "sizes", "cuts"},
    "plan": {"aims", "enrolled", "screened", "digest"},
    "summary": {"kind", "estimates"},
    "recalibration": {"bundle_digest", "table_sha256", "scales", "precisions", "operating_points"},
    "repeatability": {"bundle_digest", "taken_under", "between_units", "precisions"},
    "validation": {"table", "primary", "precisions", "findings"},
    "bundle_file": {"files", "models", "inputs", "provenance"},
    "results_file": {"schema_version", "bundle_digest", "device", "precision"},
}
_COLUMNS = {
    "table": {"film", "subject", "side", "split"},
    "pairs": {"film", "film_id", "left_out"},
    "results_file": {"file", "film_id", "side", "reason"},
}


def mistaken(path: Path, *wanted: str) -> str | None:
    """What to say of a path that is one of the kinds in `OWN`, and none of those that are `wanted`; None else."""
    kind = _kind_of(path)
    if kind is None or kind in wanted:
        return None
    what, place = OWN[kind]
    belongs = place if " take" in place else f"its place is {place}"
    return f"{path.name} is {what}; {belongs}. Wanted here: {' or '.join(OWN[name].what for name in wanted)}"


def _kind_of(path: Path) -> str | None:
    if path.is_dir():
        return next((kind for kind, names in _FOLDERS.items() if all((path / name).is_file() for name in names)), None)
    try:
        raw = read_file(path, _MOST_BYTES, links=True)
    except TooLarge as error:
        raw = error.head
    except (NotRegular, OSError):
        return None
    if raw[128:132] == b"DICM":  # PS3.10 7.1
        return "film"
    text = raw.decode("utf-8-sig", "replace").lstrip()
    if text.startswith("{"):
        return _of_json(text)
    columns = {name.strip(' "') for name in text.partition("\n")[0].replace(";", ",").replace("\t", ",").split(",")}
    return next((kind for kind, names in _COLUMNS.items() if names <= columns), None) or _of_toml(text)


def _of_json(text: str) -> str | None:
    for part in (text, text.partition("\n")[0]):  # the whole, or the first line of many
        try:
            keys = json.loads(part).keys()
        except (ValueError, RecursionError):
            continue
        if "use" in keys and {"worlds", "clinics"} & keys:
            return "figures"
        return next((kind for kind, names in _KEYS.items() if names <= keys), None)
    return None


def _of_toml(text: str) -> str | None:
    try:
        keys = tomllib.loads(text).keys()
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    if "task" in keys:
        return "settings"
    return "clinic" if {"box", "door"} <= keys else None
