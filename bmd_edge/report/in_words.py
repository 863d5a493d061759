"""Numbers of things, and lists of names, as sentences say them."""

from collections.abc import Sequence

from bmd_edge.language import ENGLISH, Language

_NAMES_SHOWN = 6


def counted(n: int, kind: str) -> str:
    """A number of things: 1 file, 2 files."""
    return f"{n} {kind}{'' if n == 1 else 's'}"


def some(names: Sequence[str], where: str = "", language: Language = ENGLISH) -> str:
    """The first names, and how many more there are, which may stand ` in results.csv`."""
    left = len(names) - _NAMES_SHOWN
    more = [language(f"and {{n}} more{where}", n=left)] if left > 0 else []
    return ", ".join([*names[:_NAMES_SHOWN], *more])
