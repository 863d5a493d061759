"""The page of today's films as HTML; every text of a film's header is escaped by the template."""

from collections import Counter
from datetime import datetime
from pathlib import Path

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal import films
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page.bar import Trouble
from bmd_edge.clinic.page.rows import rows
from bmd_edge.clinic.results import since
from bmd_edge.language import Language
from bmd_edge.report.film_report import RESEARCH_USE
from bmd_edge.report.pages import templates

_STATES = {
    "read": "{n} with a number",
    "refused": "{n} without a number",
    "waits": "{n} not yet read",
    "quarantined": "{n} in quarantine",
}


def today_html(config: Config, journal: Journal, notice: str, troubles: list[Trouble]) -> str:
    """The whole page. `notice` is what the bundle says of itself; `troubles` stand in the red bar."""
    language, start = config.spoken, since(None, journal.clock())
    shown = rows(config, journal, start)
    came = films.count_since(journal, start)
    return (
        templates(Path(__file__).parent / "templates")
        .get_template("today.html.j2")
        .render(
            box=config.box.ae_title,
            approval=config.approval,
            names=config.page.names,
            t=language,
            research_use=language(RESEARCH_USE),
            notice=language(notice),
            hangs=language.counted(len(troubles), "{n} thing hangs", "{n} things hang"),
            troubles=[{**_times(one.since), "said": one} for one in troubles],
            rows=shown,
            counts=_counts(Counter(row.state for row in shown), language),
            total=language.counted(came, "{n} film", "{n} films"),
            left=came - len(shown),
        )
    )


def _counts(states: Counter[str], language: Language) -> list[str]:
    return [language(said, n=states[state]) for state, said in _STATES.items() if states[state]]


def _times(since_s: float) -> dict[str, str]:
    """A time for machines and for people."""
    when = datetime.fromtimestamp(since_s).astimezone()
    return {"iso": when.isoformat(timespec="seconds"), "when": when.strftime("%Y-%m-%d %H:%M")}
