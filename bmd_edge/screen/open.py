"""The public ways in: a verified bundle that opens screeners, and a screener in one step."""

import os
from dataclasses import fields
from typing import Any

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.film.scale import GivenSpacing
from bmd_edge.screen.screener import Screener


class Bundle(VerifiedBundle):
    """A verified bundle that opens screeners; made by `bmd_edge.open_bundle`. What it holds: `VerifiedBundle`."""

    __slots__ = ()

    def screener(
        self,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        spacing_mm: float | GivenSpacing | None = None,
        recalibration: str | os.PathLike[str] | None = None,
    ) -> Screener:
        """Open the networks; arguments and errors as for `bmd_edge.Screener`. Use it as a context manager."""
        return Screener(self, device, precision, threads, spacing_mm, recalibration=recalibration)


def open_bundle(path: str | os.PathLike[str] | None = None) -> Bundle:
    """Read and verify the bundle in folder `path`; None is the one embedded in the package.

    Raises BundleError, naming the first thing that is wrong and what to do about it.
    """
    verified = read_bundle(path)
    return Bundle(**{field.name: getattr(verified, field.name) for field in fields(verified)})


def open_screener(bundle: str | os.PathLike[str] | None, patient_key: bytes | None = None, **settings: Any) -> Screener:
    """Open a screener on the bundle in folder `bundle`, None for the embedded one; `settings` as for `Screener`."""
    screener = Screener(read_bundle(bundle), **settings)
    screener.patient_key = patient_key
    return screener
