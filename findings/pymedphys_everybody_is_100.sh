#!/usr/bin/env bash
# pymedphys 0.41.0 and pydicom 3.0.2: after `anonymise` all patients are one, 100 years old, and born on the day of the film.
#
# Guess: what it takes out becomes empty, or a value that no reader can take for a true one.
# Seen: Patient ID is "Anonymous" on every film, so that films of different people have one patient; Patient's Age is 100Y,
# which a reader believes; sex is ANON, which is none of F, M and O; the birth date and all dates of the study are 20190303.
# So a study of films that went through it needs subjects, ages and sexes in the film table. A stated age beside a birth
# date that is the film's own date is flagged as contradictory here.
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check pymedphys==0.41.0 pydicom==3.0.2 numpy==2.4.6
"$place/env/bin/python" - <<'PY'
from importlib.metadata import version

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation as DX
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pymedphys.dicom import anonymise


def film(name: str, number: str, born: str, age: str) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = DX, generate_uid()
    made.PatientName, made.PatientID, made.PatientSex = name, number, "F"
    made.PatientBirthDate, made.PatientAge, made.StudyDate = born, age, "20250601"
    return made


print("pymedphys", version("pymedphys"), "pydicom", pydicom.__version__)
made = [anonymise(film("Doe^Jane", "4711", "19500101", "075Y")), anonymise(film("Roe^Mary", "4712", "19700101", "055Y"))]
seen = [(one.PatientID, one.PatientAge, one.PatientSex, one.PatientBirthDate, one.StudyDate) for one in made]
for one in seen:
    print(*one)
raise SystemExit(int(seen != [("Anonymous", "100Y", "ANON", "20190303", "20190303")] * 2))
PY
