"""Body part, view and side as a film's header states them, and the films that are refused for them."""

import re

from bmd_edge.dicom.header import Header
from bmd_edge.errors import FilmRefused

_BODY_PART, _SERIES, _PROTOCOL, _CODE_MEANING = 0x00180015, 0x0008103E, 0x00181030, 0x00080104
# Defined terms of PS3.16 annex L and what old CR readers write; anything else is left to the finder.
_OTHER_PART_NAMES = """
SKULL HEAD BRAIN FACE FACIAL JAW MAXILLA MANDIBLE SINUS TEETH NECK CSPINE CERVICAL TSPINE THORACIC THORAX CHEST LUNG RIB
RIBS STERNUM HEART BREAST SHOULDER CLAVICLE SCAPULA ARM HUMERUS ELBOW FOREARM RADIUS ULNA WRIST HAND FINGER THUMB KNEE
PATELLA TIBIA FIBULA LOWERLEG CALF ANKLE FOOT FEET TOE TOES CALCANEUS HEEL LSPINE LUMBAR TLSPINE CTSPINE SPINE WHOLEBODY
"""
_OTHER_PARTS = frozenset(_OTHER_PART_NAMES.split())
_AMBIGUOUS_WORDS = frozenset(["HEAD", "NECK", "ARM"])  # femoral head and neck, C-arm
_ALLOWED_PARTS = frozenset(["HIP", "HIPS", "PELVIS", "FEMUR", "ABDOMEN"])

# PS3.16 CID 4010: antero-posterior and frontal, SNOMED CT and the SRT codes they replace
_AP_CODES = frozenset(["399348003", "R-10206", "399033003", "R-10202"])
_OTHER_VIEWS = re.compile(r"\b(frog|lauenstein|dunn|judet|inlet|outlet|false ?profile)", re.IGNORECASE)
_SIDE_VIEWS = re.compile(r"\b(lat|lateral|axial|oblique|obl|x-?table|cross-?table)\b", re.IGNORECASE)
_AP_WORD = re.compile(r"\b(a\.?p|frontal)\b", re.IGNORECASE)


def read_body_part(header: Header) -> str | None:
    """Return the body part in capitals; a known part without a hip is refused as `wrong_body_part`.

    Where no body part is stated, the names of the series and protocol are judged alike, but are no body part.
    """
    part = header.text(_BODY_PART)
    if part is None and (region := header.item(0x00082218)) is not None:
        part = region.text(_CODE_MEANING)
    stated = part or " ".join(header.texts(_SERIES) + header.texts(_PROTOCOL))
    words = set(re.findall(r"[A-Z]+", stated.upper()))
    words |= {"".join(re.findall(r"[A-Z]+", stated.upper()))}
    others = words & _OTHER_PARTS - (_AMBIGUOUS_WORDS if part is None else set())
    if others and not words & _ALLOWED_PARTS:
        raise FilmRefused("wrong_body_part", f"body part {min(others)}")
    return part and part.upper()


def read_view(header: Header) -> tuple[str | None, tuple[str, ...]]:
    """Return the view ("AP") or `None` with the flag `view_unknown`; any other stated view is refused, `wrong_view`."""
    stated = (header.text(0x00185101) or "").upper()
    text = " ".join(header.texts(_SERIES) + header.texts(_PROTOCOL))
    code = header.item(0x00540220)
    meaning = code.text(_CODE_MEANING) or "" if code else ""
    modifier = code.item(0x00540222) if code else None
    meaning = f"{meaning} {modifier.text(_CODE_MEANING) or ''}" if modifier else meaning
    if stated not in ("", "AP"):
        raise FilmRefused("wrong_view", "another view position")
    if _OTHER_VIEWS.search(meaning) or _SIDE_VIEWS.search(meaning) or "postero-anterior" in meaning.lower():
        raise FilmRefused("wrong_view", "the code of another view")
    # Series and protocol names: a frog-leg film is often labelled AP, "lateral" beside "AP" names a pair of films
    if _OTHER_VIEWS.search(text) or (not stated and _SIDE_VIEWS.search(text) and not _AP_WORD.search(text)):
        raise FilmRefused("wrong_view", "the series is named after another view")
    if (header.texts(0x00200020)[0] or "?")[0] in "AP":  # rows of the image run front to back
        raise FilmRefused("wrong_view", "patient orientation of a lateral film")
    if stated == "AP" or (code and (code.text(0x00080100) in _AP_CODES)):
        return "AP", ()
    return None, ("view_unknown",)


def read_side(header: Header) -> tuple[str | None, tuple[str, ...]]:
    """Return "R", "L", "B" (both) or `None`, and flags, from ImageLaterality, Laterality and PatientOrientation.

    PatientOrientation cannot tell which hip was filmed, but a film stored mirrored or turned (PS3.3 C.7.6.1.1.1: the
    rows of an AP film run to the patient's left, the columns to the feet) carries the flag `unusual_orientation`.
    """
    image, study = header.text(0x00200062), header.text(0x00200060)
    rows, columns = (*header.texts(0x00200020), "", "")[:2]
    flags: tuple[str, ...] = ()
    if (rows and rows[0] != "L") or (columns and columns[0] != "F"):
        flags = ("unusual_orientation",)
    sides = {side for side in (image, study) if side in ("R", "L")}
    if len(sides) == 2:
        return None, ("side_contradiction", *flags)
    if image == "B":
        return "B", flags
    return (sides.pop() if sides else None), flags
