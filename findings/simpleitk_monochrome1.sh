#!/usr/bin/env bash
# SimpleITK 2.5.7 (GDCM 3.2.5): a MONOCHROME1 film is inverted when it is read, and still says MONOCHROME1.
#
# Guess: a reader of pixel values gives the stored ones, as pydicom does, and leaves the display to the program.
# Seen: a film of 12 bits with a stored 600 is read as 3495 (4095 - 600), with a rescale intercept of -1024 as 2471,
# while GetMetaData("0028|0004") says MONOCHROME1 as in the file. A program that inverts by that word inverts twice, and
# bone is dark again; after the intercept the rescaled value is no longer what PS3.3 C.11.1 makes of the stored one
# (-424).
# So gray levels of such films differ between readers; bmd_edge/film/gray.py inverts once, after the display table.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check simpleitk==2.5.7 pydicom==3.0.2 numpy==2.4.6
cat > "$place/look.py" << 'PYTHON'
import sys

import pydicom
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian


def first(photometric, intercept):
    film = Dataset()
    film.SOPClassUID, film.SOPInstanceUID = DigitalXRayImageStorageForPresentation, "1.2.3"
    film.Modality, film.ImagerPixelSpacing = "DX", ["0.143", "0.143"]
    film.Rows, film.Columns, film.SamplesPerPixel, film.PixelRepresentation = 60, 40, 1, 0
    film.PhotometricInterpretation, film.BitsAllocated, film.BitsStored, film.HighBit = photometric, 16, 12, 11
    film.RescaleIntercept, film.RescaleSlope, film.RescaleType = intercept, "1", "US"
    film.PixelData = (600).to_bytes(2, "little") * 2400
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.save_as("film.dcm", enforce_file_format=True)
    image, stored = SimpleITK.ReadImage("film.dcm"), int(pydicom.dcmread("film.dcm").pixel_array[0, 0])
    value, says = image.GetPixel(0, 0, 0), image.GetMetaData("0028|0004").strip()
    print(f"{photometric}, intercept {intercept}: pydicom {stored}, SimpleITK {value}, which says {says}")
    return stored, value, says == photometric


seen = [first("MONOCHROME1", "0"), first("MONOCHROME1", "-1024"), first("MONOCHROME2", "-1024")]
sys.exit(seen != [(600, 3495, True), (600, 2471, True), (600, -424, True)])
PYTHON
cd "$place" && "$place/env/bin/python" look.py
