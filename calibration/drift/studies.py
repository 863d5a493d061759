"""What the drift charts look at: films of a table, or of a screening run, as studies.

A study (the films of one visit, so a pelvis' two hips too) is one observation, the mean of its hips: two hips of one
person are no two observations.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmd_edge.report.film_report import FilmReport
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow
from calibration.pairs.hip_size import size_in_table_mm, size_on_film_mm

F64 = NDArray[np.float64]

FACTS = ("age", "female", "size", "kvp")


@dataclass(frozen=True, slots=True)
class Seen:
    """Studies in order, one row each.

    facts (n, 4): age in years, 1 for a woman and 0 for a man, log of the size in mm, kVp; NaN where unknown. bmd and
    spread (n, sites), g/cm2, of the BMD network itself; embedding (n, d); gray (n, 7), `gray_statistics` of its input.
    """

    facts: F64
    bmd: F64
    spread: F64
    embedding: F64
    gray: F64

    def __len__(self) -> int:
        return len(self.facts)

    def take(self, chosen: NDArray[Any]) -> "Seen":
        """Some of the studies, by index or mask."""
        return Seen(*(getattr(self, part)[chosen] for part in self.__slots__))


def by_study(hips: Seen, study: Sequence[str]) -> Seen:
    """Mean of the hips of each study, in the order in which the studies first come."""
    place = {name: k for k, name in enumerate(dict.fromkeys(study))}
    which = np.array([place[name] for name in study], np.intp)

    def mean(values: F64) -> F64:
        known = np.isfinite(values)
        total, count = np.zeros((len(place), values.shape[1])), np.zeros((len(place), values.shape[1]))
        np.add.at(total, which, np.where(known, values, 0.0))
        np.add.at(count, which, known)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    return Seen(*(mean(getattr(hips, part)) for part in hips.__slots__))


def of_rows(rows: Sequence[HipRow], *answers: NDArray[Any]) -> Seen:
    """Studies of a film table, one per subject; `answers` are bmd, spread, embedding and gray of its hips, (n, ...).

    Size and tube voltage come from the columns that `size_in_table_mm` knows and from `x_kvp`, where there are such.
    """
    facts = [
        (
            _or_nan(row.age_years),
            _female(row.sex),
            np.log(size_in_table_mm(row)),
            _or_nan(row.extra.get("x_kvp")),
        )
        for row in rows
    ]
    hips = Seen(*(np.asarray(values, np.float64) for values in (facts, *answers)))
    return by_study(hips, [row.subject for row in rows])


def of_reports(reports: Iterable[FilmReport]) -> tuple[Seen, list[str]]:
    """Studies of screened films in their order, and the film_id of the first film of each; hips without a number count
    nowhere. Films of one StudyInstanceUID are one study.
    """
    facts, answers, studies = [], [], []
    names: dict[str, str] = {}
    for report in reports:
        for hip in report.hips:
            if hip.network is None:
                continue
            size = np.log(size_on_film_mm(hip.landmarks_px, report.spacing_mm))
            facts.append((_or_nan(report.age_years), _female(report.sex), size, _or_nan(report.kvp)))
            answers.append((hip.network.bmd_gcm2, hip.network.spread_gcm2, hip.network.embedding, hip.network.gray))
            studies.append(report.study_instance_uid or report.film_id or "")
            names.setdefault(studies[-1], report.film_id or "")
    if not facts:
        return Seen(np.empty((0, len(FACTS))), *(np.empty((0, len(SITES))),) * 2, *(np.empty((0, 1)),) * 2), []
    hips = Seen(np.array(facts), *(np.array(part) for part in zip(*answers, strict=True)))
    return by_study(hips, studies), list(names.values())


def _female(sex: str | None) -> float:
    return {"F": 1.0, "M": 0.0}.get(sex or "", np.nan)


def _or_nan(value: float | str | None) -> float:
    return np.nan if value is None else float(value)
