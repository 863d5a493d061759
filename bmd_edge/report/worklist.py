"""The worklist: who needs what, the most urgent first; the films of a patient stand together, the newest first."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter

from bmd_edge.errors import AT_ONCE, FLAGS, REFUSALS, TO_DO, remedy
from bmd_edge.language import ENGLISH, Language
from bmd_edge.measure.headline import lowest_t_score
from bmd_edge.measure.t_score import T_SCORE_REASONS
from bmd_edge.report.film_report import (
    COPIES,
    COPIES_TO_DO,
    COUNTED_ONCE,
    FILM_NOW,
    FILM_NOW_TO_DO,
    FilmReport,
    flags_of,
)
from bmd_edge.report.safe_text import visible

SECTIONS = {
    "read_at_once": "Have these films read at once",
    "low_suspected": "Low BMD suspected",
    "refer_for_dxa": "Refer for DXA",
    "in_doubt": "In doubt, or without a number",
    "no_headline": "With a number, without a headline",
    "not_suspected": "Low BMD not suspected",
}
"""What a film's row may stand under, the most urgent first; a patient stands where the most urgent film does."""
_SAID = {
    "low_suspected": ("Low BMD suspected.", "Confirm by DXA."),
    "refer_for_dxa": ("The film cannot tell.", "Refer for DXA."),
    "not_suspected": ("Low BMD not suspected; low BMD is not ruled out.", ""),
}
_SIDES = {"R": ["right"], "L": ["left"], None: []}


@dataclass(frozen=True, slots=True)
class Row:
    """One file: `link` leads to its card, `find` is what else it can be searched by; empty is what is not known.

    `counts` is False where another file shows the same image and counts for both; `copied` says which one.
    """

    section: str
    counts: bool
    find: str
    film: str
    link: str
    patient: str
    date: str
    accession: str
    lowest_t: str
    said: str
    to_do: str
    copied: str = ""
    copy_of: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """The groups of a section, the newest first. `patients` is None where that of a film is not known.

    A group is the rows of one patient, the newest first; of one visit, or one film, where the patient is not known.
    `title` is the section in words.
    """

    name: str
    title: str
    groups: list[list[Row]]

    @property
    def films(self) -> int:
        """Number of films that belong here by themselves; several files of one image are one."""
        return sum(row.counts for rows in self.groups for row in rows if row.section == self.name)

    @property
    def others(self) -> int:
        """Number of films that stand here beside one of them, of the same patient or visit."""
        return sum(row.counts for rows in self.groups for row in rows) - self.films

    @property
    def patients(self) -> int | None:
        """Number of patients."""
        counted = [rows[0].patient for rows in self.groups if any(row.counts for row in rows)]
        return len(counted) if all(counted) else None


@dataclass(slots=True)
class Worklist:
    """Films that are added one by one, with their links.

    What is short of a header stands in `unread`, and what is no film in `left_out`, by reason.
    """

    language: Language = ENGLISH
    left_out: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    unread: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    _groups: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))

    def add(self, report: FilmReport, link: str) -> None:
        """Put a film into its row."""
        row = _row(report, link, self.language)
        who = report.patient_pseudonym or report.study_instance_uid or report.sop_instance_uid
        if report.status == "left_out" and report.reason:
            self.left_out[report.reason].append(row)
        elif who is None and report.reason and not report.hips:
            self.unread[report.reason].append(row)
        else:
            self._groups[who or row.link].append(row)

    def sections(self) -> list[Section]:
        """The sections that hold somebody, the most urgent first."""
        found: dict[str, list[list[Row]]] = {name: [] for name in SECTIONS}
        films: dict[str, Row] = {}
        for row in (one for rows in self._groups.values() for one in rows if one.counts):
            films[row.film] = max(films.get(row.film, row), row, key=_urgency)  # two may have had one name
        for rows in self._groups.values():
            newest_first = [self._once(row, films) for row in sorted(rows, key=attrgetter("date"), reverse=True)]
            found[min(rows, key=_urgency).section].append(newest_first)
        for groups in found.values():
            groups.sort(key=lambda rows: rows[0].date, reverse=True)
        return [Section(name, self.language(SECTIONS[name]), groups) for name, groups in found.items() if groups]

    def _once(self, row: Row, films: Mapping[str, Row]) -> Row:
        """A copy says whose it is, for what to do is said at that film; unless its own header makes it more urgent."""
        language, film = self.language, films.get(row.copy_of)
        if row.counts or film is None or _urgency(row) < _urgency(film):
            return row
        return replace(row, said=row.copied, to_do=language("Nothing more to do: it counts once, with that film."))


def _urgency(row: Row) -> int:
    """The place of the row's section, 0 for the most urgent."""
    return list(SECTIONS).index(row.section)


def _row(report: FilmReport, link: str, language: Language) -> Row:
    said, to_do = _SAID.get(report.band or "", ("", ""))
    said = language(said) or no_headline(report, language) or ""
    doubted: dict[str, list[str]] = {report.reason: []} if report.reason and not report.hips else {}
    for hip in report.hips:
        if hip.reason:
            doubted.setdefault(hip.reason, []).extend(_SIDES[hip.side])
    sentences = {
        code: _of_sides(sides, language) + language(REFUSALS[code].sentence) for code, sides in doubted.items()
    }
    first = [reason for reason in doubted if reason in AT_ONCE]
    then = [reason for reason in doubted if reason not in AT_ONCE]
    flags = dict.fromkeys(flag for hip in report.hips for flag in flags_of(hip) if flag in TO_DO)
    notes = [language(FILM_NOW[report.film_now]), copied(report, language), *(language(FLAGS[flag]) for flag in flags)]
    also = [FILM_NOW_TO_DO.get(report.film_now), COPIES_TO_DO.get(report.copy or ""), *(TO_DO[flag] for flag in flags)]
    remedies: list[str | None] = [*(REFUSALS[reason].remedy for reason in first), to_do]
    remedies += [*(remedy(reason, report.status) for reason in then), *also]
    to_dos = [language(text) for text in dict.fromkeys(remedies) if text]
    lowest = lowest_t_score(estimate for hip in report.hips for estimate in hip.estimates)
    return Row(
        section=_section(report),
        counts=report.copy not in COUNTED_ONCE,
        find=" ".join(filter(None, [report.patient_pseudonym, report.study_instance_uid, report.film_id])),
        film=visible(report.file or language("(no file)")),
        link=link,
        patient=report.patient_pseudonym or "",
        date=report.acquisition_date or "",
        accession=visible(report.accession_number or ""),
        lowest_t="" if lowest is None else signed(lowest),
        said=" ".join(filter(None, [*map(sentences.get, first), said, *map(sentences.get, then), *notes])),
        to_do=" ".join(to_dos),
        copied=copied(report, language),
        copy_of=visible(report.copy_of or "") if report.copy in COUNTED_ONCE else "",
    )


def copied(report: FilmReport, language: Language) -> str:
    """Which other file shows the same image, or claims to; empty where none does."""
    see = language("See {file}.", file=visible(report.copy_of or ""))
    return f"{language(COPIES[report.copy])} {see}" if report.copy else ""


def _of_sides(sides: list[str], language: Language) -> str:
    return language(f"{' and '.join(sides).capitalize()}:") + " " if sides else ""


def _section(report: FilmReport) -> str:
    if any(hip.reason in AT_ONCE for hip in report.hips):
        return "read_at_once"
    if report.band in ("low_suspected", "refer_for_dxa"):
        return report.band
    sure = report.complete and report.copy not in COPIES_TO_DO
    return (report.band or "no_headline") if sure else "in_doubt"


def no_headline(report: FilmReport, language: Language = ENGLISH) -> str | None:
    """Why a film with a number has no headline; None for a film that has one, or no number."""
    if report.status != "read" or report.band:
        return None
    reasons = [row.t_score_reason for hip in report.hips for row in hip.estimates if row.t_score_reason]
    without = f"The {'recalibration' if report.recalibration else 'bundle'} has no cuts for it."
    return f"{language('No headline.')} {language(T_SCORE_REASONS[reasons[0]] if reasons else without)}"


def signed(t_score: float) -> str:
    """A T-score as it is printed: one place, a sign, a true minus."""
    return f"{t_score:+.1f}".replace("-", "\N{MINUS SIGN}")
