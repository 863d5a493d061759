#!/usr/bin/env bash
# highdicom 0.28.2: a film whose VOI LUT has entries of 12 bits is not shown, and one of 16 bits is stretched.
#
# Guess: get_frame(apply_voi_transform=True) shows a film as DCMTK does: an entry of n bits counts from 0 to 2^n - 1.
# Seen: of an entry size other than 8 and 16, "Invalid LUT descriptor." is raised; pydicom, DCMTK and dciodvfy take
# them. With 16 bits the smallest and the largest entry become 0 and 1 (VOILUT.get_scaled_lut_data says so): a table
# that ends at 40950 of 65535 is shown 1.6 times as bright as by pydicom and by DCMTK's dcm2pnm.
# So gray levels of the two are not to be compared where a film has a VOI LUT.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check highdicom==0.28.2 pydicom==3.0.2 numpy==2.4.6
cat > "$place/look.py" << 'PYTHON'
import sys

import highdicom
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_voi_lut
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian


def shown(bits, entries):
    film, table = Dataset(), Dataset()
    film.SOPClassUID, film.SOPInstanceUID = DigitalXRayImageStorageForPresentation, "1.2.3"
    film.StudyInstanceUID, film.SeriesInstanceUID, film.Modality = "1.2.4", "1.2.5", "DX"
    film.Rows, film.Columns, film.SamplesPerPixel, film.PixelRepresentation = 60, 40, 1, 0
    film.PhotometricInterpretation, film.BitsAllocated, film.BitsStored, film.HighBit = "MONOCHROME2", 16, 12, 11
    film.PixelData = np.arange(2400, dtype="<u2").tobytes()
    table.LUTDescriptor, table.LUTData = [4096, 0, bits], entries.astype("<u2").tobytes()
    table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "OW"
    film.VOILUTSequence = [table]
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.save_as("film.dcm", enforce_file_format=True)
    image = highdicom.imread("film.dcm")
    of_pydicom = apply_voi_lut(image.pixel_array, film)[-1, -1] / (2**bits - 1)
    try:
        return of_pydicom, image.get_frame(1, apply_voi_transform=True)[-1, -1]
    except RuntimeError as error:
        return of_pydicom, str(error)


ramp = np.arange(4096)
seen = [shown(12, ramp), shown(16, 16 * ramp), shown(16, 10 * ramp)]
for bits, (one, other) in zip((12, 16, 16), seen, strict=True):
    print(f"{bits} bits: brightest pixel {one:.3f} by pydicom, {other} by highdicom")
stretched = abs(seen[2][1] / seen[2][0] - 65535 / 40950) < 0.001
sys.exit(not (seen[0][1] == "Invalid LUT descriptor." and stretched))
PYTHON
cd "$place" && "$place/env/bin/python" look.py
