#!/usr/bin/env bash
# DCMTK 3.6.7 (dcmscale, Debian 12): a film made half as large keeps the Imager Pixel Spacing of the full one.
#
# Guess: scaling adapts every attribute that gives the size of a pixel.
# Seen: `dcmscale +Sxf 0.5` of a DX film of 60 x 40 pixels of 0.143 mm at the detector gives 30 x 20 pixels with a new
# Pixel Spacing of 0.286, that nobody had stated before, and Imager Pixel Spacing still 0.143. Image Type becomes
# DERIVED. SimpleITK 2.5.7 reads 0.143: the hip is then half as long and a quarter of its area. Two numbers that differ
# also mean a calibrated film (PS3.3 10.7), here with a magnification of one half.
# So a film whose spacings contradict each other is refused (`implausible_scale`, bmd_edge/film/scale.py).
# Needs the packages of Debian 12. Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check simpleitk==2.5.7 pydicom==3.0.2
cd "$place"
command -v dcmscale > /dev/null || { echo "install dcmtk first" >&2; exit 2; }
dcmscale --version | head -n 1
cat > film.py << 'PYTHON'
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

film = Dataset()
film.SOPClassUID, film.SOPInstanceUID = DigitalXRayImageStorageForPresentation, "1.2.3"
film.ImageType, film.Modality, film.ImagerPixelSpacing = ["ORIGINAL", "PRIMARY", ""], "DX", ["0.143", "0.143"]
film.Rows, film.Columns, film.SamplesPerPixel, film.PixelRepresentation = 60, 40, 1, 0
film.PhotometricInterpretation, film.BitsAllocated, film.BitsStored, film.HighBit = "MONOCHROME2", 16, 12, 11
film.PixelData = b"".join(value.to_bytes(2, "little") for value in range(2400))
film.file_meta = FileMetaDataset()
film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
film.save_as("film.dcm", enforce_file_format=True)
PYTHON
cat > look.py << 'PYTHON'
import sys

import pydicom
import SimpleITK

half = pydicom.dcmread("half.dcm")
read = SimpleITK.ReadImage("half.dcm").GetSpacing()[0]
imager, pixel = float(half.ImagerPixelSpacing[0]), float(half.PixelSpacing[0])
print(f"{half.Rows} x {half.Columns}: Imager Pixel Spacing {imager}, Pixel Spacing {pixel}; SimpleITK reads {read}")
sys.exit((half.Rows, imager, pixel, read) != (30, 0.143, 0.286, 0.143))
PYTHON
env/bin/python film.py
dcmscale +Sxf 0.5 film.dcm half.dcm
env/bin/python look.py
