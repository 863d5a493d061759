"""Which entries of a folder were never meant as films: discs and exports hold much besides.

They stand in the results, each with what it is, but no run is incomplete for them.
"""

import re
from dataclasses import replace

from bmd_edge.report.film_report import FilmReport

NO_FILM = frozenset(["dicom_directory", "link", "not_a_regular_file", "not_radiograph", "unfinished_file"])
"""Left out wherever they lie in a folder."""
BY_NAME = frozenset(["broken_packed_file", "empty_file", "not_dicom", "packed_file"])
"""Left out too, unless the name is a film's: then somebody meant to send one, and it is damaged."""
_FILM_NAME = re.compile(
    r"[^.].*\.(?i:dcm|dicom|dic|ima)"
    r"|\d[\d.]*"  # a UID
    r"|(?=[A-Z_]*\d)[A-Z0-9_]{1,8}",  # of a disc, as IM000001 (PS3.10 8.2)
    re.DOTALL,
)


def as_entry(report: FilmReport) -> FilmReport:
    """What is said of a file that nobody named: `left_out` instead of `refused` where it is no film."""
    name = (report.file or "").rpartition("/")[2]
    meant = report.reason in BY_NAME and _FILM_NAME.fullmatch(name)
    if report.reason in NO_FILM | BY_NAME and not meant:
        return replace(report, status="left_out")
    return report
