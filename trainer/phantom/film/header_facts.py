"""The facts of a film's DICOM header: patient, exposure, spacing and which of its tags stand; drawn apart from the
bone.
"""

from dataclasses import dataclass

import numpy as np

from bmd_edge.film.scale import ASSUMED_MAGNIFICATION
from trainer.phantom.beam.beam import Exposure
from trainer.phantom.body.anatomy import Subject
from trainer.phantom.film.maker_styles import Style
from trainer.phantom.shapes.ray_march import Geometry


@dataclass(frozen=True, slots=True)
class DrawnHeader:
    """Header facts. None = the tag does not stand. Lengths in mm; `pixel_mm` at the detector; `view` AP or LL; `side`
    R, L or B.
    """

    patient_id: str
    age_years: int
    sex: str
    side: str
    view: str
    body_part: str
    maker: str
    model: str
    kvp: float
    exposure_uas: int
    exposure_index: float
    pixel_mm: float
    spacing_tag: str
    sid_mm: float | None
    sod_mm: float | None
    ermf: float | None
    study_date: str
    seed: str

    @property
    def believed_spacing_mm(self) -> float:
        """One pixel at the hip as the runtime takes it from these tags: often with an assumed magnification."""
        if self.ermf is not None:
            return self.pixel_mm / self.ermf
        if self.sid_mm is not None and self.sod_mm is not None:
            return self.pixel_mm * self.sod_mm / self.sid_mm
        return self.pixel_mm / ASSUMED_MAGNIFICATION


def draw_header(
    rng: np.random.Generator, subject: Subject, exposure: Exposure, view: Geometry, style: Style, facts: dict[str, str]
) -> DrawnHeader:
    """Header of a film; `facts`: side, body_part, view, seed, subject. Source distances stand in about two films of
    three.

    spacing_tag: "imager" (at the detector), "both" (PixelSpacing equal to it), "pixel" (old CR: PixelSpacing alone).
    """
    spacing = str(rng.choice(["imager", "both", "pixel"], p=(0.55, 0.35, 0.10)))
    distances = rng.random()
    letter = (
        style.name.removeprefix("Synthetic-")
        if style.name.startswith("Synthetic-")
        else str(rng.choice(list("ABCDEFGH")))
    )
    day = int(rng.integers(1, 29))
    return DrawnHeader(
        patient_id=f"PHANTOM-{facts['subject']}",
        age_years=round(subject.age_years),
        sex=subject.sex,
        side=facts["side"],
        view=facts["view"],
        body_part=facts["body_part"],
        maker=f"Synthetic-{letter}",
        model=f"Phantom {letter}{rng.integers(1, 4)}",
        kvp=round(exposure.kvp, 1),
        exposure_uas=round(float(2500 * exposure.kerma_ugy * np.exp(rng.normal(0, 0.3)))),
        exposure_index=round(100 * exposure.kerma_ugy * float(np.exp(rng.normal(0, 0.1))), 1),
        pixel_mm=view.pixel_mm,
        spacing_tag=spacing,
        sid_mm=round(view.sid_mm, 1) if distances < 0.65 else None,
        sod_mm=round(view.sod_mm, 1) if distances < 0.45 else None,
        ermf=round(view.magnification, 4) if rng.random() < 0.35 else None,
        study_date=f"20{rng.integers(15, 26)}{rng.integers(1, 13):02d}{day:02d}",
        seed=facts["seed"],
    )
