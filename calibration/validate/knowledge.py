"""Whether the estimates are better than what is known without the films: findings on accuracy, not on the data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bmd_edge.bundle.knowledge import SiteKnowledge
from bmd_edge.report.pages import SITE_NAMES
from bmd_edge.sites import SITES
from calibration.pairs.answers import FilmAnswers
from calibration.pairs.finding import Finding
from calibration.pairs.hip_size import size_on_film_mm
from calibration.pairs.pairs import Pair
from calibration.statistics.bootstrap import MIN_SUBJECTS
from calibration.statistics.knowledge import knowledge, of_person
from calibration.validate.one_site import selected


def knowledge_of(kept: Sequence[Pair], films: Sequence[FilmAnswers], precision: str) -> dict[str, SiteKnowledge]:
    """What the estimates of one precision show, of each site that has any; age and sex from table or header, the size
    of the hip from its landmarks on the film.
    """
    sizes_mm = {
        (film.film, hip.side): size_on_film_mm(hip.landmarks_px, film.reports[precision].spacing_mm)
        for film in films
        for hip in film.reports[precision].hips
    }
    found = {}
    for site in SITES:
        some, data = selected(kept, site, precision)
        if some:
            sizes = [sizes_mm.get((one.film, one.side), float("nan")) for one in some]
            person = of_person([one.age_years for one in some], [one.sex for one in some], sizes)
            found[site] = knowledge(data.x, data.y, person, [one.subject for one in some])
    return found


def facts_of(known: Mapping[str, SiteKnowledge]) -> dict[str, Any]:
    """For validation.json: site -> baseline -> figures, whether the estimates are better, and the same in words."""
    return {
        site: {
            name: one and {**asdict(one), "shown": one.shown, "sentence": one.sentence()}
            for name, one in (("mean", found.mean), ("person", found.person))
        }
        for site, found in known.items()
    }


def findings(known: Mapping[str, SiteKnowledge]) -> Iterator[Finding]:
    """An error for each baseline that a site is not better than; of fewer than 10 subjects nothing can be said."""
    for site, found in known.items():
        for code, one in found.not_shown():
            if one.subjects >= MIN_SUBJECTS:
                sentence = (
                    f"{SITE_NAMES[site]}: not shown to be better than {' and '.join(one.knows) or 'the mean'} alone:"
                    f" {one.sentence()}. Do not use these numbers here; if only their mean is off, recalibrate."
                )
                yield Finding(code, "error", sentence, one.hips)
