"""What can be done about a refusal where a box has read the film: nobody there runs `bmd-edge screen`."""

from bmd_edge.errors import REFUSALS

_AGAIN = "`bmd-edge clinic send --film ID`"
IN_A_BOX = {
    "no_spacing": "Have the detector's pixel size entered for this X-ray unit (spacing_if_missing_mm in clinic.toml), "
    f"then the film read again: {_AGAIN}.",
    "implausible_scale": "Check the pixel size that clinic.toml states for this X-ray unit; where the header's is "
    "wrong, have the unit's settings corrected.",
    "file_unreadable": f"Have the box's disk checked, then the film read again: {_AGAIN}.",
    "out_of_memory": f"Give the box more memory, then have the film read again: {_AGAIN}.",
    "unexpected": f"Have the film read again: {_AGAIN}; report it with its film_id if it recurs.",
}
"""Remedies of codes whose remedy elsewhere is an option or another run of `screen`."""


def remedy(code: str) -> str:
    """What can be done about a film or a hip without a number; `code` is a key of `REFUSALS`."""
    return IN_A_BOX.get(code, REFUSALS[code].remedy)


def plain_remedy(code: str) -> str:
    """The same without the marks of commands, for objects, where no page shows what stands between them as code."""
    return remedy(code).replace("`", "")
