"""Reports as a ledger or results.jsonl keeps them, read back: JSON -> `FilmReport`."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from bmd_edge.film.film import former_id
from bmd_edge.measure.estimate import Estimate
from bmd_edge.measure.network_answer import NetworkAnswer
from bmd_edge.report.film_report import FilmReport, HipReport
from bmd_edge.report.thumbnail import Thumbnail

_FORMER_REASONS = {"archive": "packed_file", "broken_archive": "broken_packed_file"}


def entry_of(file: str, film_now: str | None, text: str, *image: Any) -> tuple[FilmReport, Thumbnail | None]:
    """A report and its picture from a ledger's row; `film_now` is None for a film that is there."""
    return report_of({**json.loads(text), "file": file}, film_now), Thumbnail(*image) if image[0] else None


def report_of(data: Mapping[str, Any], film_now: str | None) -> FilmReport:
    """The report that `FilmReport.kept` or `to_dict` made, of this version or of an earlier one."""
    spacing = data["spacing_mm"] and tuple(data["spacing_mm"])
    hips = tuple(_hip(hip) for hip in data["hips"])
    facts = {
        "spacing_mm": spacing,
        "hips": hips,
        "film_now": film_now or "there",
        "film_id": data["film_id"] and former_id(data["film_id"]),
        "recalibration": data.get("recalibration", data.get("site_calibration")),  # its former name
        "reason": _FORMER_REASONS.get(data["reason"], data["reason"]),
    }
    return _made(FilmReport, {**data, **facts})


def _hip(data: Mapping[str, Any]) -> HipReport:
    landmarks = {name: tuple(point) for name, point in data["landmarks_px"].items()}
    box = data.get("box_px") and tuple(data["box_px"])
    found = tuple(_made(Estimate, {**estimate, "flags": tuple(estimate["flags"])}) for estimate in data["estimates"])
    answer = data.get("network")
    network = answer and _made(NetworkAnswer, {name: tuple(values) for name, values in answer.items()})
    facts = {**data, "landmarks_px": landmarks, "box_px": box, "estimates": found, "network": network}
    return _made(HipReport, facts)


_Made = TypeVar("_Made", FilmReport, HipReport, Estimate, NetworkAnswer)


def _made(kind: type[_Made], data: Mapping[str, Any]) -> _Made:
    """What an earlier version has kept, less what this one does not know."""
    return kind(**{field.name: data[field.name] for field in fields(kind) if field.name in data})
