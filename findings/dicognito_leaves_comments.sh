#!/usr/bin/env bash
# dicognito 0.19.0: comments, private text and device numbers of a film stay; it says that identity was removed.
#
# Guess: what may name a patient in free text is emptied, private elements are removed and devices get other numbers, as
# the basic profile of PS3.15 table E.1-1 asks.
# Seen: Patient Comments, Image Comments, Study Description, a private element with the name (as LO; as PN it is
# changed), Device Serial Number and Detector ID are as before, beside Patient Identity Removed = YES, which stands for
# all attributes and the pixels (PS3.3 C.7.1.1). The installed command `dicognito` ends with a TypeError, `python -m
# dicognito` works.
# So a film that says YES was not made anonymous by that: look at its text before it is handed on.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check dicognito==0.19.0 pydicom==3.0.2
cd "$place"
cat > film.py << 'PYTHON'
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

film = Dataset()
film.SOPClassUID, film.SOPInstanceUID = DigitalXRayImageStorageForPresentation, "1.2.3"
film.StudyInstanceUID, film.SeriesInstanceUID, film.Modality, film.BurnedInAnnotation = "1.2.4", "1.2.5", "DX", "NO"
film.PatientName, film.PatientID, film.StudyDate, film.StudyTime = "Made^Up", "P1", "20260105", "101500"
film.PatientComments, film.ImageComments, film.StudyDescription = "Mrs Made", "Made Up fell", "Hip of Made"
film.DeviceSerialNumber, film.DetectorID = "SN1", "D1"
block = film.private_block(0x0029, "MAKER", create=True)
block.add_new(1, "LO", "Made^Up")
block.add_new(2, "PN", "Made^Up")
film.file_meta = FileMetaDataset()
film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
film.save_as("film.dcm", enforce_file_format=True)
PYTHON
cat > look.py << 'PYTHON'
import sys
from pathlib import Path

import pydicom

before = pydicom.dcmread("film.dcm")
(path,) = Path("out").iterdir()
after = pydicom.dcmread(path)
assert after.PatientID != before.PatientID
kept = [element.keyword or str(element.tag) for element in after if before.get(element.tag) == element]
print(f"identity removed: {after.PatientIdentityRemoved}; as before: {', '.join(kept)}")
text = {"PatientComments", "ImageComments", "StudyDescription", "DeviceSerialNumber", "DetectorID", "(0029,1001)"}
sys.exit(not (text <= set(kept) and after.PatientIdentityRemoved == "YES"))
PYTHON
env/bin/python film.py
env/bin/dicognito film.dcm --output-directory out 2>&1 | tail -n 1 || true
env/bin/python -m dicognito film.dcm --output-directory out > /dev/null
env/bin/python look.py
