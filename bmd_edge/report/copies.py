"""Which files show one and the same image, or claim to: by SOP Instance UID and by pixels, whatever their names."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

from bmd_edge.report.film_report import FilmReport

Copies = dict[tuple[str | None, str | None], tuple[str, str | None]]
"""The fields `copy` and `copy_of` of a report, by its file and film_id: two films may have had one name."""


def copies(reports: Iterable[FilmReport]) -> Copies:
    """Mark every file that repeats another, and every one of a conflict.

    Of several the one counts that is there now, states its pixel size itself, and comes first by name without suffix:
    `hip.dcm`, not `hip (1).dcm`.
    """
    first_of_pixels: dict[str, FilmReport] = {}
    of_instance: dict[str, list[tuple[str | None, str | None, str]]] = defaultdict(list)
    marks: Copies = {}
    for report in sorted((replace(one, hips=()) for one in reports if one.pixel_digest), key=_rank):
        digest = report.pixel_digest or ""
        instance = of_instance[report.sop_instance_uid] if report.sop_instance_uid else []
        if digest in first_of_pixels:
            first = first_of_pixels[digest]
            again = any(digest == other for *_, other in instance)
            patients = {report.patient_pseudonym, first.patient_pseudonym} - {None}
            kind = "other_patient" if len(patients) > 1 else "duplicate" if again else "same_pixels"
            marks[report.file, report.film_id] = kind, first.file
            if kind == "other_patient":  # nobody knows which of the two is right
                marks.setdefault((first.file, first.film_id), (kind, report.file))
        else:
            first_of_pixels[digest] = report
        instance.append((report.file, report.film_id, digest))
    for films in of_instance.values():
        different = {digest: file for file, _, digest in reversed(films)}
        for file, name, digest in films:
            others = [other for known, other in different.items() if known != digest]
            if others and marks.get((file, name), ("", None))[0] != "duplicate":
                marks[file, name] = "conflict", others[-1]
    return marks


def _rank(report: FilmReport) -> tuple[bool, int, str, str]:
    file = report.file or ""
    not_its_own = {"given": 1, None: 2}.get(report.spacing_source, 0)
    return report.film_now != "there", not_its_own, os.path.splitext(file)[0], file


def marked(report: FilmReport, marks: Copies) -> FilmReport:
    """The report with its mark, if it has one."""
    kind, other = marks.get((report.file, report.film_id), (None, None))
    return replace(report, copy=kind, copy_of=other)


def count_copies(marks: Copies) -> dict[str, int]:
    """How many files have each mark."""
    return dict(sorted(Counter(kind for kind, _ in marks.values()).items()))
