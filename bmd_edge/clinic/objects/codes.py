"""The coded words of a report: SNOMED CT and DCM where they have the concept, a scheme of our own where they have none.

PS3.16 has no code for a bone mineral density, and LOINC's for the hip mean one measured by DXA.
OHIF shows the whole meaning of a code beside a number, so the meanings of numbers are short.
"""

from pydicom.sr.coding import Code

SCHEME = "99BMDEDGE"
"""PS3.16 8.2: private schemes begin with 99; every report says whose it is (Coding Scheme Identification Sequence)."""


def own(value: str, meaning: str) -> Code:
    """A code of our scheme; a meaning has at most 64 characters (PS3.3 8.3)."""
    return Code(value, SCHEME, meaning[:64])


GCM2 = Code("g/cm2", "UCUM", "g/cm2")
T_UNIT = Code("{T-score}", "UCUM", "T-score")
FINDING = own("hip-bmd", "Hip BMD from film")
METHOD = own("film-regression", "Regression on a film")
NUMBERS = {
    "femoral_neck": own("bmd-neck-rx", "Neck BMD from film"),
    "total_hip": own("bmd-total-hip-rx", "Total hip BMD from film"),
}
T_SCORE = own("t-score-rx", "T-score from film")
SITES = {
    "femoral_neck": Code("29627003", "SCT", "Neck of femur"),
    "total_hip": Code("310651003", "SCT", "Proximal femur"),
}
HIP_REGION = Code("29836001", "SCT", "Hip region")
SIDES = {"R": Code("24028007", "SCT", "Right"), "L": Code("7771000", "SCT", "Left")}
PLAIN_FILM = Code("168537006", "SCT", "Plain radiography")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
COMMENT = Code("121106", "DCM", "Comment")

STATUS = own("result-status", "Result status")
REASON = own("reason", "Reason")
HEADLINE = own("headline", "Headline")
FLAG = own("flag", "Flag")
NO_T_SCORE = own("t-score-reason", "Why no T-score")
INTENDED_USE = own("intended-use", "Intended use")
RESEARCH_ONLY = own("research-only", "Research use only, not for diagnosis")


def spoken(code: str) -> Code:
    """A refusal, flag or status code of the program as a coded value: `hip_not_found` means "Hip not found"."""
    return own(code, code.replace("_", " ").capitalize())
