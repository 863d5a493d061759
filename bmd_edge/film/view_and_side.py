"""Body part, view and side as a film's header states them, and the films that are refused for them."""

import re

from bmd_edge.dicom.header import Header
from bmd_edge.errors import FilmRefused

_BODY_PART, _SERIES, _PROTOCOL, _PROCESSING = 0x00180015, 0x0008103E, 0x00181030, 0x00181400
_REGION, _CODE_VALUE, _CODING_SCHEME, _CODE_MEANING = 0x00082218, 0x00080100, 0x00080102, 0x00080104
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
# The other views of CID 4010 in SRT, and in SCT: a code counts by its value, its meaning is for people (PS3.3 8.3)
_OTHER_CODE_VALUES = """
R-10204 R-10208 R-10210 R-10212 R-10216 R-10220 R-10224 R-10226 R-10228 R-10230 R-10232 R-10234 R-10236 R-10238 R-10241
R-10242 R-10244 R-10246 R-10248 R-10250 R-10252 R-10254 R-10256 R-10257 R-102C1 R-102C2 R-102C3 R-102C4 R-102C5 R-102C6
R-102C7 R-102C8 R-102CD R-40782 R-40783 R-40810 R-40888 R-40985 G-A145 399160007 399312000 399038007 399006002 399059000
399135007 399260004 399368009 399352003 399099002 399198007 399236003 399173006 399184004 399061009 399162004 399196006
399004004 399288005 399225005 399132005 399325008 399255003 399360002 399182000 399110001 399071006 399335002 399272005
399242004 399351005 399316002 399067008 260426006 260427002 260499007 272479007 399356000 30730003
"""
_OTHER_CODES = frozenset(_OTHER_CODE_VALUES.split())
_CROSS_TABLE = "111069"  # PS3.16 CID 4011, DCM
_CODING_SCHEMES = (None, "SRT", "SNM3", "99SDM", "SCT", "DCM")  # a code of any other scheme is local
_AP_NAMES = frozenset(["AP", "FRONTAL", "FACE", "ANTEROPOSTERIOR", "ANTEROPOSTERIEUR", "ANTEROPOSTERIORE"])
_OTHER_NAME_WORDS = """
PA LL RL LLD RLD LLO RLO LAO RAO LPO RPO LAT LATERAL OBL OBLIQUE AXIAL TAN TANGENTIAL SEITLICH PROFIL POSTEROANTERIOR
MEDIOLATERAL LATEROMEDIAL FROG FROGLEG LAUENSTEIN DUNN JUDET INLET OUTLET XTABLE CROSSTABLE
"""
_OTHER_NAMES = frozenset(_OTHER_NAME_WORDS.split())
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
    """Return the view ("AP") or `None` with the flag `view_unknown`; any other stated view is refused, `wrong_view`.

    ViewPosition may be spelled as people do; the view code and its modifier count by value, a local one is unknown.
    """
    stated, codes = _view_name(header.text(0x00185101)), _view_codes(header)
    text = " ".join(header.texts(_SERIES) + header.texts(_PROTOCOL))
    if stated == "other":
        raise FilmRefused("wrong_view", "another view in ViewPosition")
    if codes & {*_OTHER_CODES, _CROSS_TABLE}:
        raise FilmRefused("wrong_view", "the code of another view in ViewCodeSequence")
    # Series and protocol names: a frog-leg film is often labelled AP, "lateral" beside "AP" names a pair of films
    if _OTHER_VIEWS.search(text) or (not stated and _SIDE_VIEWS.search(text) and not _AP_WORD.search(text)):
        raise FilmRefused("wrong_view", "the series is named after another view")
    if (header.texts(0x00200020)[0] or "?")[0] in "AP":  # rows of the image run front to back
        raise FilmRefused("wrong_view", "patient orientation of a lateral film")
    if stated == "AP" or codes & _AP_CODES:
        return "AP", ()
    return None, ("view_unknown",)


def _view_name(stated: str | None) -> str | None:
    """What ViewPosition says in any spelling (PS3.3 C.8.11.5 has AP): "AP", "other", or None where it is neither."""
    parts = re.findall(r"[A-Z]+", (stated or "").upper())
    words = {*parts, *re.sub(r"[-.]", "", (stated or "").upper()).split(), "".join(parts)}  # A-P, FROG-LEG, A P
    if words & _OTHER_NAMES:
        return "other"
    return "AP" if words & _AP_NAMES else None


def _view_codes(header: Header) -> set[str]:
    """The values of the view code and its modifier, of the schemes that are known here."""
    code = header.item(0x00540220)
    items = (code, code.item(0x00540222) if code else None)
    known = [item for item in items if item and item.text(_CODING_SCHEME) in _CODING_SCHEMES]
    return {item.text(_CODE_VALUE) or "" for item in known}


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
