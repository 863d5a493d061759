"""The runtime: estimates hip BMD from a plain radiograph. Research use only, not for diagnosis.

    with bmd_edge.open_bundle().screener() as screener:
        report = screener.read("film.dcm")

Names are loaded when they are first used, so `import bmd_edge` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bmd_edge.errors import (
        FLAGS,
        REFUSALS,
        BmdEdgeError,
        BundleError,
        EngineError,
        FilmFailed,
        FilmRefused,
        HipRefused,
        MissingExtra,
        Refusal,
        TableError,
        UsageError,
    )
    from bmd_edge.film.film import Film, FilmFacts
    from bmd_edge.film.read import read_film
    from bmd_edge.hips.finder import find_hips
    from bmd_edge.hips.region import Hip
    from bmd_edge.measure.estimate import Estimate
    from bmd_edge.report.film_report import FilmReport, HipReport
    from bmd_edge.screen.jobs import FilmJob, FilmOutcome
    from bmd_edge.screen.open import Bundle, open_bundle
    from bmd_edge.screen.screener import Screener, open_screener
    from bmd_edge.screen.workers import Crew
    from bmd_edge.version import __version__ as __version__

_HOME = {
    "errors": (
        "FLAGS", "REFUSALS", "BmdEdgeError", "BundleError", "EngineError", "FilmFailed", "FilmRefused", "HipRefused",
        "MissingExtra", "Refusal", "TableError", "UsageError",
    ),
    "measure.estimate": ("Estimate",),
    "film.film": ("Film", "FilmFacts"),
    "film.read": ("read_film",),
    "report.film_report": ("FilmReport", "HipReport"),
    "hips.finder": ("find_hips",),
    "hips.region": ("Hip",),
    "screen.open": ("Bundle", "open_bundle"),
    "screen.jobs": ("FilmJob", "FilmOutcome"),
    "screen.screener": ("Screener", "open_screener"),
    "screen.workers": ("Crew",),
    "version": ("__version__",),
}  # fmt: skip

__all__ = [
    "FLAGS",
    "REFUSALS",
    "BmdEdgeError",
    "Bundle",
    "BundleError",
    "Crew",
    "EngineError",
    "Estimate",
    "Film",
    "FilmFacts",
    "FilmFailed",
    "FilmJob",
    "FilmOutcome",
    "FilmRefused",
    "FilmReport",
    "Hip",
    "HipRefused",
    "HipReport",
    "MissingExtra",
    "Refusal",
    "Screener",
    "TableError",
    "UsageError",
    "find_hips",
    "open_bundle",
    "open_screener",
    "read_film",
]


def __getattr__(name: str) -> object:
    for module, names in _HOME.items():
        if name in names:
            try:
                return getattr(import_module(f"bmd_edge.{module}"), name)
            except AttributeError as error:  # `from bmd_edge import ...` would only say that there is no such name
                raise ImportError(f"bmd_edge.{module} cannot be loaded: {error}", name=f"bmd_edge.{module}") from error
    raise AttributeError(f"module 'bmd_edge' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
