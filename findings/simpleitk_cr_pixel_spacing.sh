#!/usr/bin/env bash
# SimpleITK 2.5.7 (GDCM 3.2.5): a CR film that states only Pixel Spacing (0028,0030) has pixels of 1 mm.
#
# Guess: a reader takes the spacing at the detector or the calibrated one, whichever the film has.
# Seen: for CR and DX it looks at Imager Pixel Spacing (0018,1164) alone. CR need not have it (type 3 in PS3.3 C.8.1.2;
# a film calibrated with a ball in the picture has 0028,0030, PS3.3 10.7): GetSpacing() is 1.0, no warning, while
# GetMetaData("0028|0030") of the same image says 0.130. Where both stand, the calibrated one loses. As Secondary
# Capture the same Pixel Spacing counts.
# So lengths are 7.7 times too large and areas 59 times; bmd_edge/film/scale.py reads the tags itself.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check simpleitk==2.5.7 pydicom==3.0.2
cat > "$place/look.py" << 'PYTHON'
import sys

import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage


def spacing(kind, **stated):
    film = Dataset()
    film.SOPClassUID, film.SOPInstanceUID = kind, "1.2.3"
    film.Modality = "CR"
    for name, value in stated.items():
        setattr(film, name, value)
    film.Rows, film.Columns, film.SamplesPerPixel, film.PixelRepresentation = 60, 40, 1, 0
    film.PhotometricInterpretation, film.BitsAllocated, film.BitsStored, film.HighBit = "MONOCHROME2", 16, 12, 11
    film.PixelData = bytes(2 * 60 * 40)
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.save_as("film.dcm", enforce_file_format=True)
    image = SimpleITK.ReadImage("film.dcm")
    states = image.GetMetaData("0028|0030").strip()
    print(f"{kind.name}, states {stated}: pixels of {image.GetSpacing()[0]} mm, metadata {states}")
    return image.GetSpacing()[0]


ball = {"PixelSpacing": ["0.130", "0.130"], "PixelSpacingCalibrationType": "FIDUCIAL"}
ball["PixelSpacingCalibrationDescription"] = "ball"
seen = [
    spacing(ComputedRadiographyImageStorage, **ball),
    spacing(ComputedRadiographyImageStorage, **ball, ImagerPixelSpacing=["0.143", "0.143"]),
    spacing(SecondaryCaptureImageStorage, **ball),
]
sys.exit(seen != [1.0, 0.143, 0.13])
PYTHON
cd "$place" && "$place/env/bin/python" look.py
