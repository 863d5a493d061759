#!/usr/bin/env bash
# python-gdcm 3.2.6: lossy JPEG of a 12-bit image is written with a precision that JPEG does not have.
#
# Guess: under JPEG Extended (1.2.840.10008.1.2.4.51) an image of 12 bits stored in 16 gets a frame of 12 bits, the most
# that the DCT has (ITU-T T.81 table B.2), and everybody reads it.
# Seen: the frame header says 16 bits. GDCM reads its own file; DCMTK's dcmdjpeg and libjpeg-turbo refuse it ("Unsupported
# JPEG data precision 16"), and so does bmd_edge.pixels.jpeg, as `decode_failed`. Nothing warns when it is written.
# So a film that was sent through `gdcmconv --jpeg --lossy` is lost to others; JPEG 2000 and JPEG-LS are not affected.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check \
  python-gdcm==3.2.6 pydicom==3.0.2 numpy==2.4.6 imagecodecs==2026.3.6
cat > "$place/look.py" << 'PYTHON'
import sys

import gdcm
import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.uid import ExplicitVRLittleEndian

y, x = np.mgrid[:120, :90]
film = Dataset()
film.SOPClassUID, film.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3"
film.Rows, film.Columns, film.SamplesPerPixel, film.PixelRepresentation = 120, 90, 1, 0
film.PhotometricInterpretation, film.BitsAllocated, film.BitsStored, film.HighBit = "MONOCHROME2", 16, 12, 11
film.PixelData = (800 + 8 * x + 6 * y).astype("<u2").tobytes()
film.file_meta = FileMetaDataset()
film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
film.save_as("in.dcm", enforce_file_format=True)
reader, codec, change = gdcm.ImageReader(), gdcm.JPEGCodec(), gdcm.ImageChangeTransferSyntax()
reader.SetFileName("in.dcm")
codec.SetLossless(False)
codec.SetQuality(95)
change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
change.SetUserCodec(codec)
writer = gdcm.ImageWriter()
writer.SetFileName("out.dcm")
assert reader.Read()
change.SetInput(reader.GetImage())
assert change.Change()
writer.SetFile(reader.GetFile())
writer.SetImage(change.GetOutput())
assert writer.Write()
made = pydicom.dcmread("out.dcm")
stream = next(generate_frames(made.PixelData, number_of_frames=1))
precision = stream[stream.index(b"\xff\xc1") + 4]
try:
    imagecodecs.jpeg8_decode(stream)
    read = "read by libjpeg-turbo"
except Exception as error:
    read = str(error)
print(f"GDCM {gdcm.Version.GetVersion()}, {made.BitsStored} bits stored: frame of {precision} bits; {read}")
sys.exit(precision != 16 or "precision 16" not in read)
PYTHON
cd "$place" && "$place/env/bin/python" look.py
