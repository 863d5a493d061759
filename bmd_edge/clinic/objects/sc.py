"""The picture of a result as a Secondary Capture (PS3.3 A.8) in the film's study."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from bmd_edge.clinic.objects.panel import BAR, cautions, footer, results
from bmd_edge.clinic.objects.said import Occasion
from bmd_edge.clinic.objects.series import begun, dated, film_reference, laterality
from bmd_edge.clinic.objects.study import Study
from bmd_edge.report.film_report import FilmReport

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.7"


def secondary_capture(
    report: FilmReport, picture: NDArray[np.uint8], study: Study, occasion: Occasion, names: Mapping[str, str]
) -> Dataset:
    """Make the object of a picture (rows, columns, 3) uint8; `names` holds its "instance" and "series" UIDs.

    Image Comments repeats the picture's words.
    """
    made = begun("sc", SOP_CLASS, study, occasion, names)
    made.Modality, made.ConversionType = "OT", "WSD"
    made.Laterality = laterality(report)
    made.PatientOrientation = []  # words stand beside the film
    made.ImageType = ["DERIVED", "SECONDARY"]
    if study.burned_in:  # PS3.3 C.7.6.1; the words beside the film name nobody
        made.BurnedInAnnotation = study.burned_in
    words = [line.text for line in (*results(report), *cautions(report), *footer(report, occasion))]
    made.ImageComments = "\n".join([BAR, *words])
    made.DerivationDescription = "Film with landmarks and BMD estimates"
    made.SourceImageSequence = [film_reference(study)]
    made.Rows, made.Columns, made.SamplesPerPixel = *picture.shape[:2], 3
    made.PhotometricInterpretation, made.PlanarConfiguration = "RGB", 0
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.PixelData = picture.tobytes()
    dated(made, occasion.received)
    return made
