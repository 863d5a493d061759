"""Objects of drawn films, as the box makes them."""

from dataclasses import replace
from datetime import datetime
from functools import cache

from bmd_edge.clinic.objects.make import Made, objects
from bmd_edge.clinic.objects.names import answer_key, uid
from bmd_edge.clinic.objects.picture import FILM_PX, FilmPicture
from bmd_edge.clinic.objects.said import Box, Occasion, Version
from bmd_edge.clinic.objects.study import study_of
from bmd_edge.report.film_report import FilmReport
from bmd_edge.report.thumbnail import shrunk
from bmd_edge.screen.screener import Screener
from tests.support.screening import NOTICE, drawn_screener

KINDS = ("sr", "sc", "gsps", "pdf")
APPROVAL = "EK 2026-117"
OCCASION = Occasion(datetime(2026, 5, 17, 8, 30), Box("BMDEDGE", uid("box"), APPROVAL, NOTICE))


@cache
def _screener() -> Screener:
    return drawn_screener()


def said_of(
    film: bytes,
    occasion: Occasion = OCCASION,
    screener: Screener | None = None,
    kinds: tuple[str, ...] = KINDS,
    sided: bool = True,
) -> tuple[FilmReport, dict[str, Made]]:
    """The report of a film and its objects by kind; `sided`: the sides of its hips are told."""
    screener = screener or _screener()
    loaded = screener.load(film)
    report = screener.measure(loaded)
    if not sided:
        report = replace(report, hips=tuple(replace(hip, side=None) for hip in report.hips))
    picture = FilmPicture(shrunk(loaded.film, *FILM_PX), *loaded.film.shape) if loaded.film else None
    study = study_of(film)
    answer = answer_key(report, study.sop_instance_uid, occasion.box.approval)
    return report, {made.kind: made for made in objects(report, answer, study, occasion, picture, kinds)}


def second(first: dict[str, Made], why: str) -> Occasion:
    """The occasion of a version that replaces `first`."""
    return Occasion(
        OCCASION.received, OCCASION.box, Version(2, {k: one.sop_instance_uid for k, one in first.items()}, why)
    )
