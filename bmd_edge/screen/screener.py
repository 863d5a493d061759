"""One film -> one report: the two networks of a bundle, opened once.

Whatever is wrong with a film ends here as a report; only a broken network is an error.
"""

import hashlib
import json
import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.bundle import Signed, VerifiedBundle, read_bundle
from bmd_edge.engine.base import Engine
from bmd_edge.engine.open import open_engine
from bmd_edge.engine.self_test import self_test
from bmd_edge.errors import BundleError, EngineError, FilmFailed, FilmRefused, HipRefused, UsageError
from bmd_edge.film.film import FACTS, Film, film_id
from bmd_edge.film.read import FilmSource, check_source, film_bytes, name_of, read_film
from bmd_edge.film.scale import GivenSpacing
from bmd_edge.hips.finder import find_hips, settle_polarity
from bmd_edge.hips.region import SCALES, Hip, hip_image
from bmd_edge.measure.estimate import estimates, over_scales
from bmd_edge.measure.network_answer import NetworkAnswer, gray_statistics
from bmd_edge.measure.recalibration import NO_HEADLINE, open_recalibration
from bmd_edge.pixels.decoder_check import check_decoders
from bmd_edge.report.film_report import SCHEMA_VERSION, FilmReport, HipReport, film_headline, film_reason
from bmd_edge.report.thumbnail import thumbnail
from bmd_edge.screen.fork_safe_lock import ForkSafeLock
from bmd_edge.screen.jobs import FilmJob, FilmOutcome, Loaded, Setup, Stages
from bmd_edge.system.machine import cpu_name, cpus
from bmd_edge.system.patient_key import fingerprint
from bmd_edge.version import __version__

logger = logging.getLogger(__name__)

_FILM_PIXELS, _COARSEST_MM = 2.3, 0.28125
"""Pixels of a film along one pixel of the finest network input, and their size at the hip; a film of which enough are
left is reduced as it is decoded. `bmd-edge phantom reduced` shows what that does to the estimates."""

_UNWATCHED = Stages()


class Screener:
    """The two networks of a bundle, opened once; `read` turns one film into one report and may be called from threads.

    Args:
        bundle: a verified bundle (`bmd_edge.open_bundle`).
        device: "auto", "cpu", "cuda" or "tensorrt"; asked for is used, or EngineError.
        precision: "auto", "fp32" or "int8".
        threads: threads inside the engine; None for all CPUs this process may use.
        spacing_mm: detector pixel size in mm for films that state none, or for all if `GivenSpacing` says so.
        engines: open or unopened engines to use instead of the bundle's, by name ("finder" and "bmd").
        recalibration: path of a recalibration (`bmd_edge.measure.recalibration`), made by `bmd-edge calibrate`.
        stages: is told what the screener is at, for measuring (`bmd_edge.screen.jobs.Stages`).

    `most_bytes` may be set to limit the memory that decoding a film takes; a film that needs more fails. `patient_key`
    may be set, before the first film, to give films the pseudonyms of their patients, and `accession` to keep their
    accession numbers. `setup.notice` has to stand beside every number.

    Raises:
        EngineError, BundleError, MissingExtra, UsageError: the networks cannot be opened as asked, or their self-test
            does not give the bundle's golden outputs.
    """

    def __init__(
        self,
        bundle: VerifiedBundle,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        spacing_mm: float | GivenSpacing | None = None,
        engines: Mapping[str, Engine] | None = None,
        recalibration: str | os.PathLike[str] | None = None,
        stages: Stages = _UNWATCHED,
    ) -> None:
        given = GivenSpacing(spacing_mm) if isinstance(spacing_mm, float | int) else spacing_mm
        if given and not 0 < given.mm < math.inf:
            raise UsageError(f"the spacing must be above 0 mm, not {given.mm:g}")
        self.bundle = bundle
        self.threads = threads or cpus()
        self.spacing, self.spacing_mm = given, given and given.mm
        self.most_bytes: int | None = None
        self.patient_key: bytes | None = None
        self.accession = False
        self.coarsest_mm = min(_COARSEST_MM, *(spec.spacing_mm / _FILM_PIXELS for spec in bundle.inputs.values()))
        self.recalibration = None if recalibration is None else open_recalibration(recalibration, bundle)
        self._stages, self._closed = stages, False
        self._lock = ForkSafeLock()
        check_decoders()
        with ExitStack() as stack:
            self._finder, self._bmd = (
                stack.enter_context(engines[name] if engines else self._open(name, device, precision))
                for name in ("finder", "bmd")
            )
            if self._bmd.precision not in bundle.calibration:
                raise BundleError(f"the bundle has no calibration for {self._bmd.precision}")
            self._stack = stack.pop_all()
        self.device, self.precision = self._bmd.device, self._bmd.precision
        self._calibration = bundle.calibration[self.precision]
        if self.recalibration:
            self._calibration = self.recalibration.applied_to(self._calibration, self.precision)

    def _open(self, name: str, device: str, precision: str) -> Engine:
        held = self.bundle.precisions(name)
        # The finder may exist in fp32 only: `precision` is that of the numbers, so of the BMD network.
        wanted = precision if name == "bmd" or precision in held else "fp32"
        engine = open_engine(self.bundle, name, device=device, precision=wanted, threads=self.threads)
        self_test(self.bundle, name, engine)
        return engine

    def close(self) -> None:
        """Free both networks; a film that is read after that is an EngineError."""
        self._closed = True
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def settings_digest(self) -> str:
        """Names everything a report depends on besides the film: 16 hex digits."""
        recalibration = self.recalibration.digest if self.recalibration else None
        given = [self._key_name, self.device, self.precision, self.spacing, recalibration]
        facts = [__version__, SCHEMA_VERSION, self.bundle.digest, *given, *["accession"] * self.accession]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    @property
    def _key_name(self) -> str | None:
        return fingerprint(self.patient_key) if self.patient_key else None

    @property
    def setup(self) -> Setup:
        """What the owner of a run must know."""
        failed = self._report(Loaded(None), None, "failed", "unexpected", ())
        notice = self.bundle.manifest.validity.notice
        if self._calibration.operating_points is None and self.bundle.calibration[self.precision].operating_points:
            notice = f"{notice} {NO_HEADLINE}"  # so that run.json, the pages and the terminal say it
        made_with = (self.settings_digest, self.spacing_mm, notice, failed, self._key_name)
        return Setup(*made_with, self.bundle.signature, self.bundle.signed and self.bundle.signed.key_sha256)

    def examine(self, tasks: Iterable[FilmJob]) -> Iterator[tuple[FilmJob, FilmOutcome]]:
        """Examine films one after the other in this process; whatever is wrong with one is its outcome."""
        for task in tasks:
            yield task, self._outcome(task)

    def film_ids(self, tasks: Iterable[FilmJob]) -> Iterator[tuple[FilmJob, str | None]]:
        """The film_id of each file, None where it cannot be read; nothing is decoded."""
        for task in tasks:
            yield task, name_of(task.source)

    def _outcome(self, task: FilmJob) -> FilmOutcome:
        return self._said(task, self._loaded(task))

    def _loaded(self, task: FilmJob) -> Loaded:
        if task.reason:
            failed = task.reason in ("file_unreadable", "worker_lost")
            return Loaded(None, status="failed" if failed else "refused", reason=task.reason)
        return self.load(task.source)

    def _said(self, task: FilmJob, loaded: Loaded) -> FilmOutcome:
        picture = None
        try:
            report = self.measure(loaded, task.file)
            if loaded.film:
                with self._stages("picture"):
                    picture = thumbnail(loaded.film)
        except EngineError as error:
            logger.error("film %s: a network failed: %s", loaded.film_id, error)
            return FilmOutcome(self._report(loaded, task.file, "failed", "unexpected", ()), error=str(error))
        except Exception as error:  # noqa: BLE001 - as in load
            report = self.measure(unexpected(loaded.film_id, error), task.file)
        return FilmOutcome(report, picture)

    def read(self, source: FilmSource, file: str | None = None) -> FilmReport:
        """Read one film and estimate the BMD of its hips; thread-safe.

        Args:
            source: path of a DICOM file (a link is followed), its bytes, or a pydicom data set.
            file: the name that stands in the report.

        Raises:
            EngineError: a network failed. Whatever is wrong with the film is a report, never an error.
            TypeError, UsageError: mistakes of the caller, as `bmd_edge.film.read.check_source` finds them.
        """
        check_source(source)
        if isinstance(source, str | os.PathLike):
            source = os.path.realpath(source)
        return self.measure(self.load(source), file)

    def load(self, source: FilmSource) -> Loaded:
        """The first half of `read`: file -> film, but no link is followed: a folder's entries were named by nobody.

        Needs no network and may run beside `measure`.
        """
        data: bytes | None = None
        try:
            with self._stages("read"):
                data = film_bytes(source, links=False, most_bytes=self.most_bytes)
            with self._stages("decode"):
                film = read_film(
                    data,
                    spacing_mm=self.spacing,
                    coarsest_mm=self.coarsest_mm,
                    most_bytes=self.most_bytes,
                    patient_key=self.patient_key,
                    accession=self.accession,
                )
            return Loaded(film.film_id, film)
        except FilmRefused as error:
            return Loaded(_name_of(data), reason=error.code, whose=error.whose)
        except FilmFailed as error:
            return Loaded(_name_of(data), status="failed", reason=error.code, whose=error.whose)
        except Exception as error:  # noqa: BLE001 - one bad film is one row, whatever a parser did
            return unexpected(_name_of(data), error)

    def measure(self, loaded: Loaded, file: str | None = None) -> FilmReport:
        """The second half of `read`: film -> report. EngineError if a network fails."""
        hips: tuple[HipReport, ...] = ()
        status, reason, film = loaded.status, loaded.reason, loaded.film
        if film is not None and self._closed:
            raise EngineError("this screener is closed: open another with open_bundle().screener(), and close it last")
        if film is not None:
            try:
                with self._lock:
                    with self._stages("finder"):
                        if "polarity_uncertain" in film.flags:
                            film = settle_polarity(film, self._finder, self.bundle.inputs)
                        found = find_hips(film, self._finder, self.bundle.inputs, self.bundle.manifest.plausibility)
                    hips = tuple(self._hip(film, hip) for hip in found)
                numbers = any(hip.status == "read" for hip in hips)
                status, reason = ("read", None) if numbers else ("refused", film_reason(hips))
            except FilmRefused as error:
                reason = error.code
            except EngineError:
                raise
            except Exception as error:  # noqa: BLE001 - as in load
                failed = unexpected(loaded.film_id, error)
                status, reason = failed.status, failed.reason
        return self._report(loaded, file, status, reason, hips)

    def _hip(self, film: Film, hip: Hip | HipRefused) -> HipReport:
        if isinstance(hip, HipRefused):
            landmarks = _rounded(hip.landmarks_px)
            return HipReport(
                side=hip.side, status="refused", reason=hip.code, landmarks_px=landmarks, box_px=None, estimates=()
            )
        with self._stages("crop"):
            images = np.stack([hip_image(film, hip, self.bundle.inputs["bmd"], scale) for scale in SCALES])
        with self._stages("bmd"):
            raw = self._bmd.run({"image": images})
        said = raw["bmd"], raw["spread"]
        corrected = self.recalibration.corrected(*said, self.precision) if self.recalibration else said
        (bmd, doubt), spread = over_scales(corrected[0]), corrected[1].mean(axis=0)
        left, top, width, height = (round(value, 2) for value in hip.box_px)
        landmarks, box = _rounded(hip.landmarks_px), (left, top, width, height)
        try:
            flags = tuple(dict.fromkeys((*film.flags, *self.bundle.flags(film.maker), *hip.flags)))
            withheld = self.bundle.withheld(self.precision)
            found = estimates(bmd, spread, self._calibration, film.age_years, film.sex, flags, doubt, withheld)
        except HipRefused as error:
            return self._hip(film, HipRefused(error.code, error.detail, hip.side, hip.landmarks_px))
        middle = SCALES.index(1.0)
        watched = (over_scales(said[0])[0], said[1].mean(axis=0), raw["embedding"][middle])
        network = NetworkAnswer(*map(_digits, (*watched, gray_statistics(images[middle]))))
        return HipReport(
            side=hip.side,
            status="read",
            reason=None,
            landmarks_px=landmarks,
            box_px=box,
            estimates=found,
            network=network,
        )

    def _report(
        self, loaded: Loaded, file: str | None, status: str, reason: str | None, hips: tuple[HipReport, ...]
    ) -> FilmReport:
        facts: dict[str, Any] = dict(loaded.whose)
        if film := loaded.film:
            facts = {name: getattr(film, name) for name in FACTS}
            facts["spacing_mm"] = (round(film.spacing_mm[0], 6), round(film.spacing_mm[1], 6))
        return FilmReport(
            file=file,
            film_id=loaded.film_id,
            status=status,
            reason=reason,
            bundle=self.bundle.manifest.version,
            bundle_digest=self.bundle.digest,
            device=self.device,
            precision=self.precision,
            cpu=cpu_name(),
            recalibration=self.recalibration.digest if self.recalibration else None,
            band=film_headline(hips, self._calibration.operating_points),
            hips=hips,
            **facts,
        )


def open_screener(
    bundle: str | os.PathLike[str] | None,
    patient_key: bytes | None = None,
    signed: Signed | None = None,
    accession: bool = False,
    **settings: Any,
) -> Screener:
    """Open a screener on the bundle in folder `bundle`, None for the embedded one; `settings` as for `Screener`.

    `patient_key` and `accession` are set as `Screener` explains. `signed` is that of the bundle as it was opened with a
    key: BundleError if another bundle is there now.
    """
    opened = read_bundle(bundle)
    if signed and opened.digest != signed.digest:
        raise BundleError("the bundle is not the one whose signature was checked, it has changed just now: start anew")
    screener = Screener(replace(opened, signed=signed), **settings)
    screener.patient_key, screener.accession = patient_key, accession
    return screener


def _name_of(data: bytes | None) -> str | None:
    """The film_id of the bytes of a file; None for what has none."""
    return None if data is None else film_id(data)


def unexpected(name: str | None, error: Exception) -> Loaded:
    """The outcome of a film that met an error nobody foresaw; logged by film_id and type only."""
    # Not its text: a parser's error can quote the header.
    logger.error("film %s could not be processed: %s", name, type(error).__name__)
    return Loaded(name, status="failed", reason="unexpected")


def _digits(values: NDArray[np.floating]) -> tuple[float, ...]:
    """Six significant digits: what a float32 holds, and short in the ledger."""
    return tuple(float(f"{value:.6g}") for value in values.tolist())


def _rounded(landmarks_px: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    return {name: (round(x, 2), round(y, 2)) for name, (x, y) in landmarks_px.items()}
