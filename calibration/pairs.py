"""Films and DEXA, paired: every film of a table through the shipped line in each precision, each hip beside its DEXA.

The line is `bmd_edge.Screener` with the bundle's own files, so what is validated is what is used. A film is decoded
once and the finder looks once, however many precisions follow.
"""

import csv
import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bmd_edge.bundle import Bundle
from bmd_edge.engine import Arrays, Engine, open_engine, self_test
from bmd_edge.errors import TableError
from bmd_edge.estimate import t_score_reason
from bmd_edge.report import RESEARCH_USE, FilmReport, HipReport
from bmd_edge.screener import Loaded, Screener
from bmd_edge.table import SITES, HipRow, replace_file
from calibration.scales import to_hologic

Progress = Callable[[int, int], None]
"""Called with the films that are done and their number."""

_NAMED = 5  # missing films that an error names; it counts the rest


@dataclass(frozen=True, slots=True)
class FilmAnswers:
    """One film of the table: `film` as the table names it, and what each precision says of it."""

    film: str
    film_id: str | None
    reports: dict[str, FilmReport]


@dataclass(frozen=True, slots=True)
class Answer:
    """One hip in one precision: estimate and 90 % interval by site in g/cm2, empty where `reason` says why not.

    `reason` is a code of `bmd_edge.errors.REFUSALS`, or `other_side` (the film shows a hip of the other side only) or
    `hip_not_found`.
    """

    reason: str | None = None
    bmd_gcm2: dict[str, float] = field(default_factory=dict)
    low_gcm2: dict[str, float] = field(default_factory=dict)
    high_gcm2: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One row of the table: a hip on a film with its DEXA, converted to the Hologic scale, and its answers.

    `age_years`, `sex` and `maker` are the table's, or the header's where the table does not know.
    """

    film: str
    film_id: str | None
    subject: str
    side: str
    age_years: float | None
    sex: str | None
    bmi: float | None
    maker: str | None
    spacing_source: str | None
    scale: str | None
    dexa_gcm2: dict[str, float | None]
    answers: dict[str, Answer]

    @property
    def has_t_score(self) -> bool:
        """Whether a T-score may be given: age and sex are known, and the age is 50 or more."""
        return t_score_reason(self.age_years, self.sex) is None


def read_films(
    bundle: Bundle, films: dict[str, Path], precisions: Sequence[str], device: str, threads: int, progress: Progress
) -> tuple[list[FilmAnswers], str]:
    """Read films (name in the table -> path) in every precision; returns the answers in order and the device used.

    Raises:
        EngineError, UsageError: the networks cannot be opened as asked.
        TableError: a film is missing.
    """
    if missing := [name for name, path in films.items() if not path.is_file()]:
        rest = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise TableError(f"no such film: {', '.join(missing[:_NAMED])}{rest}; paths are relative to the table's folder")
    found = []
    with ExitStack() as stack:
        finder = _Remembering(_opened(bundle, "finder", device, "fp32", threads))
        screeners = {}
        for precision in precisions:
            engines = {"finder": finder, "bmd": _opened(bundle, "bmd", device, precision, threads)}
            screeners[precision] = stack.enter_context(Screener(bundle, device, precision, threads, engines=engines))
        first = screeners[precisions[0]]
        for name, loaded in zip(films, _loaded(first, list(films.values()), threads), strict=True):
            reports = {precision: one.measure(loaded, name) for precision, one in screeners.items()}
            finder.forget()
            found.append(FilmAnswers(name, loaded.film_id, reports))
            progress(len(found), len(films))
    return found, first.device


def _opened(bundle: Bundle, model: str, device: str, precision: str, threads: int) -> Engine:
    engine = open_engine(bundle, model, device=device, precision=precision, threads=threads)
    self_test(bundle, model, engine)
    return engine


def _loaded(screener: Screener, paths: Sequence[Path], threads: int) -> Iterator[Loaded]:
    """Films in order, a few of them decoded ahead."""
    waiting: deque[Future[Loaded]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for path in paths:
            waiting.append(pool.submit(screener.load, path))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class _Remembering(Engine):
    """An engine that answers from memory what it has been asked about this film before."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.device, engine.precision)
        self._engine = engine
        self._answers: dict[bytes, Arrays] = {}

    def forget(self) -> None:
        """The next film begins."""
        self._answers.clear()

    def _open(self) -> None:
        self._engine.open()
        self.inputs, self.outputs = self._engine.inputs, self._engine.outputs

    def _run(self, feeds: Arrays) -> Arrays:
        key = hashlib.sha256(b"".join(array.tobytes() for array in feeds.values())).digest()
        if key not in self._answers:
            self._answers[key] = self._engine.run(feeds)
        return dict(self._answers[key])

    def _close(self) -> None:
        self._engine.close()


def pair(rows: Sequence[HipRow], films: Sequence[FilmAnswers]) -> list[Pair]:
    """Put each row of the table beside the answers for its hip, matched by film and side."""
    by_film = {answers.film: answers for answers in films}
    return [_pair(row, by_film[row.film]) for row in rows]


def _pair(row: HipRow, film: FilmAnswers) -> Pair:
    header = next(iter(film.reports.values()))
    return Pair(
        film=row.film,
        film_id=film.film_id,
        subject=row.subject,
        side=row.side,
        age_years=header.age_years if row.age_years is None else row.age_years,
        sex=row.sex or header.sex,
        bmi=row.bmi,
        maker=row.maker or header.maker,
        spacing_source=header.spacing_source,
        scale=row.scale,
        dexa_gcm2={
            site: None if value is None or row.scale is None else to_hologic(value, site, row.scale)
            for site, value in row.bmd_gcm2.items()
        },
        answers={precision: _answer(row.side, report) for precision, report in film.reports.items()},
    )


def _answer(side: str, report: FilmReport) -> Answer:
    if not report.hips:
        return Answer(report.reason)
    hip = next((hip for hip in report.hips if hip.side == side), None)
    if hip is None:
        return Answer("other_side" if any(hip.status == "read" for hip in report.hips) else _other_reason(report.hips))
    if hip.status != "read":
        return Answer(hip.reason)
    return Answer(
        None,
        {one.site: one.bmd_gcm2 for one in hip.estimates},
        {one.site: one.low_gcm2 for one in hip.estimates},
        {one.site: one.high_gcm2 for one in hip.estimates},
    )


def _other_reason(hips: Sequence[HipReport]) -> str | None:
    """A film whose only hip is refused may have been looked at from the wrong side: its reason stands."""
    return hips[0].reason if len(hips) == 1 else "hip_not_found"


def write_pairs(path: Path, pairs: Sequence[Pair], left_out: dict[tuple[str, str], str]) -> None:
    """Write one row per hip, atomically: all that the figures are made of.

    `left_out` maps (film, side) of hips that no figure holds to the finding that says why.
    """
    facts = ("film", "film_id", "subject", "side", "age_years", "sex", "bmi", "maker", "spacing_source", "scale")
    precisions = list(pairs[0].answers) if pairs else []
    columns = [*facts, *(f"dexa_hologic_{site}_gcm2" for site in SITES), "left_out"]
    for precision in precisions:
        columns += [f"{precision}_reason"]
        columns += [f"{precision}_{part}_{site}_gcm2" for site in SITES for part in ("bmd", "low", "high")]
    columns += ["use"]
    with replace_file(path) as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for one in pairs:
            cells: dict[str, Any] = {name: getattr(one, name) for name in facts}
            cells |= {f"dexa_hologic_{site}_gcm2": _rounded(value) for site, value in one.dexa_gcm2.items()}
            cells |= {"left_out": left_out.get((one.film, one.side)), "use": RESEARCH_USE}
            for precision, answer in one.answers.items():
                cells[f"{precision}_reason"] = answer.reason
                for part in ("bmd", "low", "high"):
                    values = getattr(answer, f"{part}_gcm2")
                    cells |= {f"{precision}_{part}_{site}_gcm2": value for site, value in values.items()}
            writer.writerow({name: _plain(value) for name, value in cells.items()})


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _plain(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula gets an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def reasons(pairs: Sequence[Pair], precision: str) -> dict[str, int]:
    """Hips of the table without a number, by reason."""
    counts = Counter(one.answers[precision].reason for one in pairs if one.answers[precision].reason)
    return dict(sorted(counts.items()))
