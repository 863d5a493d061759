"""One thing that a doctor has looked at."""

from typing import NamedTuple


class Check(NamedTuple):
    """One thing that was looked at; if it is not sound, `detail` says what to do."""

    sound: bool
    what: str
    detail: str
