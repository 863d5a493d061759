"""Body part, view and side as a film's header states them, and the films that are refused for them."""

import re

from bmd_edge.dicom.header import Header
from bmd_edge.errors import FilmRefused

_BODY_PART, _SERIES, _PROTOCOL, _PROCESSING = 0x00180015, 0x0008103E, 0x00181030, 0x00181400
_REGION, _CODE_VALUE, _CODE_MEANING = 0x00082218, 0x00080100, 0x00080104
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

# PS3.3 C.8.11.2 knows R, L, U and B; these are what people write, in the languages of the films that were seen
_SIDE_NAMES = {
    "R": "RIGHT RT RECHTS RECHTE RECHTER DERECHA DERECHO DROITE DROIT DESTRA DESTRO DIREITA DIREITO",
    "L": "LEFT LT LINKS LINKE LINKER LI IZQUIERDA IZQUIERDO IZQ GAUCHE SINISTRA SINISTRO ESQUERDA ESQUERDO",
    "B": "BOTH BILATERAL BILAT BEIDE BEIDSEITS BDS",
}
_SIDE_WORDS = {word: side for side, words in _SIDE_NAMES.items() for word in words.split()}
_SIDE_LETTERS = {"R": "R", "L": "L", "B": "B", "RE": "R", "D": "R", "G": "L"}  # alone in a name, an L may be "large"
_PART_SIDES = {"RHIP": "R", "HIPR": "R", "LHIP": "L", "HIPL": "L", "RFEMUR": "R", "LFEMUR": "L"}
_REGION_SIDES = {"24028007": "R", "G-A100": "R", "7771000": "L", "G-A101": "L", "51440002": "B", "G-A102": "B"}


def read_body_part(header: Header) -> str | None:
    """Return the body part in capitals; a known part without a hip is refused as `wrong_body_part`.

    Where no body part is stated, the names of the series and protocol are judged alike, but are no body part.
    """
    part = header.text(_BODY_PART)
    if part is None and (region := header.item(_REGION)) is not None:
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
    """Return "R", "L", "B" (both) or `None`, and flags, from every place of the header that can name a side.

    These are ImageLaterality, Laterality, the modifier of the anatomic region, the body part, and the names of series,
    protocol and processing, in codes and in common spellings. Places that contradict each other are flagged.
    PatientOrientation cannot tell which hip was filmed, but a film stored mirrored or turned (PS3.3 C.7.6.1.1.1: the
    rows of an AP film run to the patient's left, the columns to the feet) carries the flag `unusual_orientation`.
    """
    rows, columns = (*header.texts(0x00200020), "", "")[:2]
    flags: tuple[str, ...] = ()
    if (rows and rows[0] != "L") or (columns and columns[0] != "F"):
        flags = ("unusual_orientation",)
    image = _side_of(header.text(0x00200062), _SIDE_LETTERS)
    named = {image, _side_of(header.text(0x00200060), _SIDE_LETTERS), _region_side(header)}
    named |= {_side_of(header.text(_BODY_PART), _SIDE_LETTERS | _PART_SIDES)}
    named |= {_side_of(text, {}) for tag in (_SERIES, _PROTOCOL, _PROCESSING) for text in header.texts(tag)}
    sides = named & {"R", "L"}
    if len(sides) == 2:
        return None, ("side_contradiction", *flags)
    if image == "B":
        return "B", flags
    return (sides.pop() if sides else None), flags


def _side_of(text: str | None, more: dict[str, str]) -> str | None:
    """The side that the words of `text` name, of `_SIDE_WORDS` and `more`; words of both sides name a pair, "B"."""
    words = re.findall(r"[A-Z]+", (text or "").upper())
    sides = {(_SIDE_WORDS | more)[word] for word in words if word in _SIDE_WORDS or word in more}
    return "B" if len(sides) > 1 else next(iter(sides), None)


def _region_side(header: Header) -> str | None:
    """The side in the modifier of the anatomic region (PS3.16 CID 244), by its code."""
    region = header.item(_REGION)
    modifier = region.item(0x00082220) if region else None
    return _REGION_SIDES.get(modifier.text(_CODE_VALUE) or "") if modifier else None
