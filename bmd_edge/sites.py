"""The measuring sites of a hip and the sides of the body, in the order of every table and network."""

import re
from collections.abc import Collection

from bmd_edge.errors import none_of

SITES = ("femoral_neck", "total_hip")
SIDES = ("R", "L")


def misnamed(text: str, figures: Collection[str]) -> str:
    """What a message puts before the form of FIGURE=VALUE, SITE.FIGURE<=VALUE or FIGURE.SITE=VALUE, where `text` has
    other names: "'rmse' is not one of r, rmse_gcm2 (did you mean rmse_gcm2?); ". Empty where all names are known.
    """
    names = re.split(r"[^\w. ]", text, maxsplit=1)[0].replace(" ", "").split(".")
    unknown = [name for name in names if name not in (*figures, *SITES)]
    if not unknown:
        return ""
    return f"{none_of(unknown[0], SITES if any(name in figures for name in names) else figures)}; "
