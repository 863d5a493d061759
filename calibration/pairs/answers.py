"""Every film of a table through the shipped line, in each precision of the bundle.

The line is `bmd_edge.Screener` with the bundle's own files in a crew of worker processes, so what is validated is what
is used, and no film can take the run down. A film is decoded once and the finder looks once, however many precisions
follow.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.engine.base import Arrays, Engine
from bmd_edge.engine.open import open_engine
from bmd_edge.engine.self_test import self_test
from bmd_edge.errors import EngineError, TableError
from bmd_edge.report.film_report import FilmReport
from bmd_edge.screen.jobs import FilmJob, FilmOutcome
from bmd_edge.screen.screener import Screener
from bmd_edge.screen.workers import Crew

Progress = Callable[[int, int], None]
"""Called with the films that are done and their number."""

_NAMED = 5  # missing films that an error names; it counts the rest


@dataclass(frozen=True, slots=True)
class FilmAnswers:
    """One film of the table: `film` as the table names it, and what each precision says of it."""

    film: str
    film_id: str | None
    reports: dict[str, FilmReport]

    @property
    def pixels(self) -> tuple[float, ...]:
        """What the network answered of every hip: equal where pixels are, whatever the header; empty without a hip."""
        hips = next(iter(self.reports.values())).hips
        answers = (one.network for one in hips if one.network)
        return tuple(value for one in answers for value in (*one.bmd_gcm2, *one.embedding, *one.gray))


@dataclass(frozen=True, slots=True)
class _Outcomes(FilmOutcome):
    """What every precision says of a film; `report` is that of the first."""

    reports: dict[str, FilmReport] = field(default_factory=dict)


def read_films(
    bundle: Path,
    films: Mapping[str, Path],
    device: str,
    threads: int | None,
    progress: Progress,
    recalibration: Path | None = None,
    patient_key: bytes | None = None,
) -> tuple[list[FilmAnswers], str]:
    """Read films (name in the table -> path) in every precision; returns the answers in order and the device used.

    Args:
        bundle: the bundle's folder; the workers open it anew.
        films: the films.
        device: as `bmd_edge.Screener`.
        threads: worker processes, each with one thread; None for one per CPU.
        progress: called after each film.
        recalibration: path of a recalibration to read them with.
        patient_key: with it reports tell one patient's films from another's, as `Screener` explains.

    Raises:
        EngineError, UsageError: the networks cannot be opened as asked, or fail.
        TableError: a film is missing.
    """
    if missing := [name for name, path in films.items() if not path.is_file()]:
        rest = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise TableError(
            f"no such film: {', '.join(missing[:_NAMED])}{rest}; paths are relative to the table's folder: check the"
            " column film, and whether all films lie there"
        )
    precisions = read_bundle(bundle).precisions("bmd")
    tasks = [FilmJob(os.fsencode(path.absolute()), name) for name, path in films.items()]
    found: dict[str, FilmAnswers] = {}
    with Crew(partial(_open, bundle, device, recalibration, patient_key), threads) as crew:
        for task, outcome in crew.examine(tasks):
            if outcome.error:
                raise EngineError(f"a network failed: {outcome.error}")
            reports = getattr(outcome, "reports", None) or {  # a film that took its worker down has one report
                precision: replace(outcome.report, precision=precision) for precision in precisions
            }
            found[task.file] = FilmAnswers(task.file, outcome.report.film_id, reports)
            progress(len(found), len(films))
        return [found[name] for name in films], crew.setup.failed.device


def _open(bundle: Path, device: str, recalibration: Path | None, patient_key: bytes | None) -> "_EveryPrecision":
    screener = _EveryPrecision(read_bundle(bundle), device, recalibration)
    screener.patient_key = patient_key
    return screener


class _EveryPrecision(Screener):
    """A screener that answers in every precision the bundle holds; otherwise it is one of the first."""

    def __init__(self, bundle: VerifiedBundle, device: str, recalibration: Path | None) -> None:
        first, *others = bundle.precisions("bmd")
        finder = _Remembering(_opened(bundle, "finder", device, "fp32"))
        engines = {name: {"finder": finder, "bmd": _opened(bundle, "bmd", device, name)} for name in (first, *others)}
        super().__init__(bundle, device, first, 1, engines=engines[first], recalibration=recalibration)
        self._finder_memory = finder
        self._others = {
            name: Screener(bundle, device, name, 1, engines=engines[name], recalibration=recalibration)
            for name in others
        }

    def examine(self, tasks: Iterable[FilmJob]) -> Iterator[tuple[FilmJob, FilmOutcome]]:
        """As `Screener.examine`, without pictures; the outcomes hold the reports of all precisions."""
        for task in tasks:
            self._finder_memory.forget()
            loaded = self.load(Path(os.fsdecode(task.path)))
            try:
                reports = {one.precision: one.measure(loaded, task.file) for one in (self, *self._others.values())}
                yield task, _Outcomes(reports[self.precision], reports=reports)
            except EngineError as error:
                yield task, FilmOutcome(self.setup.failed, error=str(error))


def _opened(bundle: VerifiedBundle, model: str, device: str, precision: str) -> Engine:
    engine = open_engine(bundle, model, device=device, precision=precision, threads=1)
    self_test(bundle, model, engine)
    return engine


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
