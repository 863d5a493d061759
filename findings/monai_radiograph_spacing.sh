#!/usr/bin/env bash
# monai 1.6.1 with pydicom 3.0.2: its DICOM reader takes no radiograph's pixel spacing, though the film states it.
#
# Guess: PydicomReader gives (rows, columns), bone bright, and its spacing is the film's PixelSpacing.
# Seen: a radiograph has no ImagePositionPatient, and without it the reader drops PixelSpacing too: `spacing` is [1, 1].
# The one warning speaks of orientation and of multi-frame files. The array is (columns, rows), and MONOCHROME1 stays as
# stored, so that bone is dark.
# So whoever feeds films to a MONAI pipeline by LoadImage gets lengths wrong by the factor of the pixels: the MONAI bundle
# that `bmd-edge bundle monai` writes leaves the reading of films to the runtime.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 monai==1.6.1 pydicom==3.0.2
"$place/env/bin/python" - "$place/film.dcm" <<'END'
import sys
import warnings

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

film = Dataset()
film.file_meta = FileMetaDataset()
film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
film.SOPClassUID = film.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = generate_uid()
film.StudyInstanceUID, film.SeriesInstanceUID, film.Modality = generate_uid(), generate_uid(), "CR"
film.Rows, film.Columns, film.SamplesPerPixel, film.PhotometricInterpretation = 4, 6, 1, "MONOCHROME1"
film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
film.PixelSpacing = film.ImagerPixelSpacing = [0.2, 0.2]
film.PixelData = np.arange(24, dtype="<u2").tobytes()
film.save_as(sys.argv[1], enforce_file_format=True)

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    from monai.data import PydicomReader

    said.clear()
    reader = PydicomReader()
    pixels, about = reader.get_data(reader.read(sys.argv[1]))
print("PixelSpacing", film.PixelSpacing, "read as", about["spacing"], "shape", pixels.shape, "first", pixels[:2, 0])
print(*(str(one.message) for one in said), sep="\n")
assert list(about["spacing"]) == [1.0, 1.0] and pixels.shape == (6, 4) and list(pixels[:2, 0]) == [0, 1]
assert len(said) == 1 and "ImageOrientationPatient" in str(said[0].message)
END
