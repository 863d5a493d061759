"""Cuts the regions of whole films in worker processes: a film may cost its worker, never the training."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.bundle.network_input import BMD
from bmd_edge.errors import EngineError, FilmFailed, FilmRefused, HipRefused
from bmd_edge.film.read import read_film
from bmd_edge.hips.finder import find_hips
from bmd_edge.hips.region import Hip
from bmd_edge.screen.jobs import FilmJob, FilmOutcome
from bmd_edge.screen.screener import Screener, unexpected
from bmd_edge.system.files import replace_bytes
from calibration.pairs.hip_size import size_on_film_mm
from trainer.images.gray_png import png16
from trainer.images.roi_files import stored_roi

UNREADABLE = "unreadable"
"""In place of a side: the code of a film that cannot be read, however often it is asked for."""

MAKER, AGE, SEX, SIZE_OF = "maker", "age_years", "sex", "size_mm_"
"""In place of a side: what the header says of maker and patient, and, with the side, the size of a hip in mm by the
landmarks that were found; where it is known.
"""

PATIENT, TAKEN = "patient_pseudonym", "acquisition_date"
"""In place of a side: whose film it is, and of which date; only where there is a key for pseudonyms."""

_JUDGED = frozenset(
    ("wrong_body_part", "wrong_view", "no_spacing", "implausible_scale", "poor_exposure", "not_a_hip", "immature")
)
"""Refusals that judge what a film shows, not its file: such films are left out, as they would be in use."""

Codes = dict[str, str | None]
"""Side -> code of `REFUSALS`, None where its region has been stored; or `UNREADABLE` -> code; `MAKER` and others."""


@dataclass(frozen=True, slots=True)
class CutJob(FilmJob):
    """A film to cut: regions are stored as `name`-R.png and `name`-L.png; `spacing_mm` as `read_film` takes it."""

    name: str = ""
    spacing_mm: float | None = None


@dataclass(frozen=True, slots=True)
class CutFilm(FilmOutcome):
    """What was found on a film."""

    codes: Codes = field(default_factory=dict)


class Cutter(Screener):
    """A screener of the bundle at `bundle` that stores the regions of hips in `folder` and measures nothing.

    With `patient_key` it also says whose film each is, and when it was taken.
    """

    def __init__(self, bundle: Path, folder: Path, patient_key: bytes | None = None) -> None:
        super().__init__(read_bundle(bundle))
        self._folder = folder
        self.patient_key = patient_key
        # The finder sees what its bundle says; the region is that of the networks to be trained.
        self._inputs = {**self.bundle.inputs, "bmd": BMD}

    def examine(self, tasks: Iterable[FilmJob]) -> Iterator[tuple[FilmJob, FilmOutcome]]:
        """Cut films one after the other; one that was not even judged has the outcome of a film that failed."""
        for task in tasks:
            assert isinstance(task, CutJob)
            failed = replace(self.setup.failed, file=task.file)
            try:
                yield task, CutFilm(failed, codes=self._codes(task))
            except FilmFailed as error:
                yield task, FilmOutcome(replace(failed, reason=error.code))
            except EngineError as error:
                yield task, FilmOutcome(failed, error=str(error))
            except Exception as error:  # noqa: BLE001 - one bad film is one row, whatever a parser did
                yield task, FilmOutcome(replace(failed, reason=unexpected(None, error).reason))

    def _codes(self, task: CutJob) -> Codes:
        path = Path(os.fsdecode(task.path))
        try:
            film = read_film(path, spacing_mm=task.spacing_mm, most_bytes=self.most_bytes, patient_key=self.patient_key)
        except FilmRefused as error:
            return dict.fromkeys("RL", error.code) if error.code in _JUDGED else {UNREADABLE: error.code}
        try:
            hips = find_hips(film, self._finder, self._inputs, self.bundle.manifest.plausibility)
        except FilmRefused as error:
            return dict.fromkeys("RL", error.code)
        said = {MAKER: film.maker, AGE: film.age_years, SEX: film.sex}
        said |= {PATIENT: film.patient_pseudonym, TAKEN: film.acquisition_date} if self.patient_key else {}
        found: Codes = {name: str(value) for name, value in said.items() if value is not None}
        for hip in hips:
            for side in hip.side or "RL":  # a hip whose side nobody knows may be either
                found[side] = hip.code if isinstance(hip, HipRefused) else None
            if isinstance(hip, Hip):
                found[f"{SIZE_OF}{hip.side}"] = f"{size_on_film_mm(hip.landmarks_px, film.spacing_mm):.2f}"
                replace_bytes(self._folder / f"{task.name}-{hip.side}.png", png16(stored_roi(film, hip)))
        return found
