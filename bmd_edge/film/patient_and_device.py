"""Who is on a film and what took it, as far as the header says; unknown is `None`, a child is refused."""

import hashlib
import hmac
import re
from datetime import date
from typing import Any

from bmd_edge.dicom.header import Header
from bmd_edge.errors import FilmRefused

ADULT_YEARS = 18.0
MAX_AGE_YEARS = 110.0  # anonymizers write births in 1900
KVP = (20.0, 200.0)
"""Tube voltages that are believed, in kV."""
_AGES_APART_YEARS = 2.0  # whole years cut off, and birth dates of which only the year is kept
_AGE = re.compile(r"0*(\d{1,3}) ?([DWMYdwmy]?)")  # PS3.5 6.2, AS: three digits and a letter, which some leave out
_DATE = re.compile(r"(\d{4})([.-]?)(\d\d)\2(\d\d)")  # PS3.5 6.2, DA; ACR-NEMA 300 had points
# PS3.3 C.7.1.1 knows F, M and O; a spelling whose meaning is clear is read and flagged
_SEXES = {"F": "F", "FEMALE": "F", "W": "F", "WOMAN": "F", "WEIBLICH": "F", "M": "M", "MALE": "M", "MAN": "M"}
# What anonymizers write into every Patient ID: films that share it are not of one patient
_NOBODY = re.compile(rb"ANON(YM(OUS|I[SZ]ED?))?|DE-?IDENTIFIED|UNKNOWN|NONE|NULL|REMOVED|NO ?ID|[0X-]+", re.IGNORECASE)


def read_patient(
    header: Header, key: bytes | None = None, accession: bool = False
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Read the facts of `FilmFacts` about the patient, and flags; a stated age below 18 years is refused as `immature`.

    The stated age counts before the one that birth date and study date give; where they differ, it is flagged.
    `key` makes the patient's pseudonym; there is none without it. `accession` keeps the accession number.
    """
    stated, reckoned = _stated_age(header), _reckoned_age(header)
    known = _known(stated)
    age = _known(reckoned) if stated is None else known
    if age is not None and age < ADULT_YEARS:
        raise FilmRefused("immature", "the header states an age below 18 years")
    written = header.text(0x00100040)
    sex = _SEXES.get((written or "").upper())
    # 0: an anonymizer gave the film's date to the birth, and may have made up the stated age too
    apart = known is not None and reckoned is not None and 0 <= reckoned <= MAX_AGE_YEARS
    doubts = {
        "age_contradiction": apart and abs((known or 0) - (reckoned or 0)) > _AGES_APART_YEARS,
        "age_spelling": stated is not None and not re.fullmatch(r"\d{1,3}[DWMY]", header.text(0x00101010) or ""),
        "sex_spelling": written not in (None, sex, "O"),
    }
    flags = tuple(flag for flag, stands in doubts.items() if stands)
    return {"age_years": age, "sex": sex, **whose(header, key, accession)}, flags


def whose(header: Header, key: bytes | None = None, accession: bool = False) -> dict[str, str | None]:
    """The facts by which a film finds the other films of its patient, also where it gets no number."""
    taken = _taken(header)
    return {
        "acquisition_date": taken.isoformat() if taken else None,
        "patient_pseudonym": _pseudonym(header, key) if key else None,
        "accession_number": header.text(0x00080050) if accession else None,
    }


def _pseudonym(header: Header, key: bytes) -> str | None:
    """The same for all films of one patient ID and issuer (PS3.3 C.7.1.1) under one key, and telling nothing else; None
    where the ID names nobody."""
    patient, issuer = _stripped(header, 0x00100020, 0x00100021)
    return None if not patient or _NOBODY.fullmatch(patient) else "pt-" + _keyed(key, issuer, patient)


def _unit(header: Header, key: bytes) -> str | None:
    """The same for all films of one X-ray unit, as far as the header tells units apart.

    Of Manufacturer and Manufacturer's Model Name, Device Serial Number and Station Name (PS3.3 C.7.5.1).
    """
    named = _stripped(header, 0x00080070, 0x00081090, 0x00181000, 0x00081010)
    return "un-" + _keyed(key, *named) if any(named) else None


def _stripped(header: Header, *tags: int) -> list[bytes]:
    return [bytes(header.value(tag)).strip(b" \0") for tag in tags]


def _keyed(key: bytes, *parts: bytes) -> str:
    return hmac.new(key, b"\0".join(parts), hashlib.sha256).hexdigest()[:16]


def _known(age: float | None) -> float | None:
    """000Y and 999Y are what anonymizers write for "unknown"."""
    return age if age is not None and 0 < age <= MAX_AGE_YEARS else None


def _stated_age(header: Header) -> float | None:
    """PatientAge in years; None where it is absent or no age."""
    stated = header.text(0x00101010)
    match = _AGE.fullmatch(stated or "")
    if match is None:
        if stated:
            header.note()
        return None
    return round(int(match[1]) / {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}[match[2].upper() or "Y"], 2)


def _reckoned_age(header: Header) -> float | None:
    """Acquisition or study date minus birth date, in years."""
    born, taken = _date(header, 0x00100030), _taken(header)
    return round((taken - born).days / 365.25, 1) if born and taken else None


def _taken(header: Header) -> date | None:
    """The date of the acquisition, else of the series, else of the study."""
    return next(filter(None, (_date(header, tag) for tag in (0x00080022, 0x00080021, 0x00080020))), None)


def _date(header: Header, tag: int) -> date | None:
    text = header.text(tag)
    if not text:
        return None
    match = _DATE.match(text)
    if match is None or match[2]:
        header.note()
    try:
        return date(int(match[1]), int(match[3]), int(match[4])) if match else None
    except ValueError:
        header.note()
        return None


def read_device(header: Header, key: bytes | None = None) -> dict[str, Any]:
    """Read the facts of `FilmFacts` about what took the film; numbers out of range are unknown.

    `key` makes the unit's pseudonym; there is none without it.
    """
    kvp, index = header.decimal(0x00180060), header.decimal(0x00181411)
    return {
        "maker": header.text(0x00080070),
        "model": header.text(0x00081090),
        "unit_pseudonym": _unit(header, key) if key else None,
        "kvp": kvp if kvp is not None and KVP[0] <= kvp <= KVP[1] else None,
        "exposure_index": index if index is not None and index > 0 else None,
    }
