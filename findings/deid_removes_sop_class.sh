#!/usr/bin/env bash
# deid 0.4.13 and pydicom 3.0.2: with deid's own recipe a film loses its SOP class and every UID, and keeps the hospital.
#
# Guess: without a recipe of one's own, names, dates and numbers of the patient go or are replaced, and what says that the
# file is a DX image (SOP Class UID) stays, as every profile of PS3.15 E keeps it.
# Seen: SOP Class UID and all three instance UIDs are gone, from the file's meta information too; Institution Name stays as
# it was, and Issuer of Patient ID, which the film had not, says STARR.
# So a folder of films that went through it is no longer one of DICOM images: a reader that asks for the class, as this
# one does, refuses each of them, and says that a de-identified film must keep its SOP Class UID.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check deid==0.4.13 pydicom==3.0.2
cd "$place"
"$place/env/bin/python" - <<'PY'
from importlib.metadata import version
from pathlib import Path

import pydicom
from deid.dicom import replace_identifiers
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation as DX
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

film = Dataset()
film.file_meta = FileMetaDataset()
film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
film.SOPClassUID, film.Modality, film.InstitutionName = DX, "DX", "Example Hospital"
film.SOPInstanceUID, film.SeriesInstanceUID, film.StudyInstanceUID = (generate_uid() for _ in range(3))
film.PatientName, film.PatientID, film.PatientBirthDate = "Doe^Jane", "4711", "19500101"
film.file_meta.MediaStorageSOPClassUID, film.file_meta.MediaStorageSOPInstanceUID = DX, film.SOPInstanceUID
film.Rows = film.Columns = 4
film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
film.SamplesPerPixel, film.PhotometricInterpretation, film.PixelData = 1, "MONOCHROME2", bytes(32)
film.save_as("film.dcm", enforce_file_format=True)

Path("out").mkdir()
(made,) = replace_identifiers(dicom_files=[str(Path("film.dcm").resolve())], save=True, output_folder="out")
left = pydicom.dcmread(made)
gone = [name for name in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID") if name not in left]
print("deid", version("deid"), "pydicom", pydicom.__version__)
print("gone:", ", ".join(gone), "; in the meta information:", "MediaStorageSOPClassUID" in left.file_meta)
print("institution:", left.get("InstitutionName"), "; issuer of the patient's ID:", left.get("IssuerOfPatientID"))
same = len(gone) == 4 and "MediaStorageSOPClassUID" not in left.file_meta and "PatientName" not in left
raise SystemExit(int(not same or left.get("InstitutionName") != "Example Hospital"))
PY
