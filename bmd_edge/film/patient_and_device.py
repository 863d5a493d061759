"""Who is on a film and what took it, as far as the header says; unknown is `None`, a child is refused."""

import re
from datetime import date
from typing import Any

from bmd_edge.dicom.header import Header
from bmd_edge.errors import FilmRefused

ADULT_YEARS = 18.0
MAX_AGE_YEARS = 110.0  # anonymizers write births in 1900


def read_patient(header: Header) -> dict[str, Any]:
    """Read the facts of `FilmFacts` about the patient; a stated age below 18 years is refused as `immature`."""
    sex = header.text(0x00100040)
    age = _age_years(header)
    if age is not None and age < ADULT_YEARS:
        raise FilmRefused("immature", "the header states an age below 18 years")
    return {"age_years": age, "sex": sex if sex in ("F", "M") else None}


def _age_years(header: Header) -> float | None:
    """PatientAge, else study date minus birth date; 000Y and 999Y are what anonymizers write for "unknown"."""
    stated = header.text(0x00101010)
    if stated:
        match = re.fullmatch(r"(\d{1,3})([DWMY])", stated)
        if match is None:
            header.note()
        else:
            age = int(match[1]) / {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}[match[2]]
            unknown = age == 0 or age > MAX_AGE_YEARS
            return None if unknown else round(age, 2)
    born = _date(header, 0x00100030)
    taken = _date(header, 0x00080022) or _date(header, 0x00080020)
    if born is None or taken is None:
        return None
    age = (taken - born).days / 365.25
    return round(age, 1) if 0 < age <= MAX_AGE_YEARS else None


def _date(header: Header, tag: int) -> date | None:
    text = header.text(tag)
    if not text:
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        header.note()
        return None


def read_device(header: Header) -> dict[str, Any]:
    """Read the facts of `FilmFacts` about what took the film; numbers out of range are unknown."""
    kvp, index = header.decimal(0x00180060), header.decimal(0x00181411)
    return {
        "maker": header.text(0x00080070),
        "model": header.text(0x00081090),
        "kvp": kvp if kvp is not None and 20 <= kvp <= 200 else None,
        "exposure_index": index if index is not None and index > 0 else None,
    }
