"""What the objects of the box have in common: their maker, their series, their time."""

from datetime import datetime

from pydicom.dataset import Dataset

MAKER = "bmd-edge"
MODEL = "bmd-edge"
SERIES = {
    "sr": (9001, "BMD estimate (research)"),
    "sc": (9002, "BMD estimate (research)"),
}
"""Kind of object -> number and description of its series; each film has a series of its own for each kind."""


def dated(made: Dataset, received: datetime) -> None:
    """Date an object by when its film was received, so that making it again makes the same."""
    day, time = received.strftime("%Y%m%d"), received.strftime("%H%M%S")
    for part in ("Instance Creation", "Content", "Series"):
        setattr(made, f"{part.replace(' ', '')}Date", day)
        setattr(made, f"{part.replace(' ', '')}Time", time)
