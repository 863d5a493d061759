"""From aims to numbers of subjects and films, and what smaller studies could still show."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from scipy import stats

from bmd_edge.errors import UsageError
from bmd_edge.sites import SITES
from calibration.pairs.table_checks import MIN_SUBJECTS
from calibration.study.aims import COMPARATOR_NAMES, FORMS, Aim
from calibration.study.assumptions import Assumptions
from calibration.study.power import compared, power, with_margin

POWER = 0.9
MOST_SUBJECTS = 20_000
"""No study is planned with more."""

EXAMPLE_SUBJECTS = 1000
"""What so many would show is said beside an aim that is out of reach."""

SMALLER = (0.25, 0.5, 0.75)
_SURE = 0.95  # that enough of the enrolled subjects have both numbers


@dataclass(frozen=True, slots=True)
class Size:
    """What one aim needs: subjects with both numbers, subjects to enroll, and the power that these reach."""

    aim: Aim
    subjects: int
    enrolled: int
    power: float


def size(aim: Aim, known: Assumptions, wanted: float = POWER) -> Size:
    """The smallest study that shows the aim with the probability `wanted`, and so does every larger one nearby.

    Raises:
        UsageError: no study of up to `MOST_SUBJECTS` can.
    """
    subjects = smallest(partial(power, aim, known), wanted)
    if subjects is None:
        raise UsageError(_out_of_reach(aim, known, wanted))
    return Size(aim, subjects, enrolled(subjects, known), power(aim, known, subjects))


def smallest(reached: Callable[[int], float], wanted: float) -> int | None:
    """The first n from 30 on with `reached(n)` >= wanted, from which on the next twentieth keeps it too: exact
    probabilities go up and down with every subject (of more than 2,000, with every few). None where the largest study
    does not reach it, which is asked first.
    """
    if reached(MOST_SUBJECTS) < wanted:
        return None
    high = MIN_SUBJECTS
    while reached(high) < wanted:
        high = min(2 * high, MOST_SUBJECTS)
    low = max(high // 2, MIN_SUBJECTS - 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) >= wanted else (middle, high)
    n = high
    while short := [k for k in range(n, n + n // 20 + 1, max(n // 1000, 1)) if reached(k) < wanted]:
        n = short[-1] + 1
    return n


def enrolled(subjects: int, known: Assumptions) -> int:
    """Subjects to enroll so that, with a probability of 95 %, so many of them have both numbers."""
    n = subjects
    while stats.binom.sf(subjects - 1, n, 1 - known.left_out) < _SURE:
        n += max((subjects - int(stats.binom.ppf(1 - _SURE, n, 1 - known.left_out))) // 2, 1)
    return n


def shown_by(aim: Aim, known: Assumptions, subjects: int, wanted: float = POWER) -> float | None:
    """The smallest margin that so many subjects with both numbers still show; None where it is out of reach."""
    most = min(aim.expected, 1 - aim.expected) if aim.figure == "coverage" and aim.expected else 0.999
    most = aim.expected if aim.floor and aim.expected else most
    if subjects < 1 or power(with_margin(aim, most), known, subjects) < wanted:
        return None
    low, high = 0.0, most
    while high - low > 0.02 * high and high > 1e-5:
        middle = (low + high) / 2
        low, high = (low, middle) if power(with_margin(aim, middle), known, subjects) >= wanted else (middle, high)
    return math.ceil(high * 10_000) / 10_000


def planned(
    aims: Sequence[Aim],
    known: Assumptions,
    subgroups: Mapping[str, float],
    wanted: float = POWER,
    other: Assumptions | None = None,
) -> dict[str, Any]:
    """Sizes of all aims, the study that holds them all, smaller ones, what is shown in subgroups of these shares, and
    what each aim needs if films err as `other` says.

    Raises:
        UsageError: nothing is aimed at, or an aim is out of reach.
    """
    if not aims:
        raise UsageError(f"plan needs --aim: what is to be shown? For example {', '.join(list(FORMS.values())[:3])}")
    aims = list(dict.fromkeys(aims))
    for one in aims:  # before the work on those that can be shown
        if power(one, known, MOST_SUBJECTS) < wanted:
            raise UsageError(_out_of_reach(one, known, wanted))
    sizes = [size(aim, known, wanted) for aim in aims]
    subjects, whole = max(one.subjects for one in sizes), max(one.enrolled for one in sizes)
    reached = [power(one.aim, known, subjects) for one in sizes]
    return {
        "subjects": subjects,
        "enrolled": whole,
        "films": whole,
        "hips": math.floor(subjects * known.hips),
        "power": wanted,
        "power_of_all_at_least": max(1 - sum(1 - one for one in reached), 0.0),
        "aims": [
            {
                "aim": one.aim.text,
                "subjects": one.subjects,
                "enrolled": one.enrolled,
                "power": one.power,
                "power_in_study": now,
            }
            for one, now in zip(sizes, reached, strict=True)
        ],
        "smaller": [
            _row(f"{100 * part:.0f} % of the subjects", round(subjects * part), sizes, known, wanted)
            for part in SMALLER
        ],
        "subgroups": [_row(name, round(subjects * part), sizes, known, wanted) for name, part in subgroups.items()],
        "otherwise": None if other is None or other.errors == known.errors else _otherwise(aims, other, wanted),
        "comparators": {
            one.against: dict(zip(("film", "comparator"), compared(known, one.against)[3:], strict=True))
            for one in aims
            if one.against
        },
    }


def _otherwise(aims: Sequence[Aim], other: Assumptions, wanted: float) -> dict[str, Any]:
    """The other errors, and what each aim needs under them; None where no study shows it."""
    needed = [smallest(partial(power, one, other), wanted) for one in aims]
    return {
        **other.errors,
        "source": other.source,
        "aims": [
            {"aim": one.text, "subjects": n, "enrolled": n and enrolled(n, other)}
            for one, n in zip(aims, needed, strict=True)
        ],
    }


def _row(name: str, subjects: int, sizes: Sequence[Size], known: Assumptions, wanted: float) -> dict[str, Any]:
    """What a study or part of so many subjects with both numbers shows of each aim: power, and margin in its place."""
    shown = [
        {
            "aim": one.aim.text,
            "power": power(one.aim, known, subjects),
            "margin": shown_by(one.aim, known, subjects, wanted),
        }
        for one in sizes
    ]
    return {"part": name, "subjects": subjects, "shown": shown}


def _out_of_reach(aim: Aim, known: Assumptions, wanted: float) -> str:
    """That no study shows the aim: what is assumed of it, what a large one would show, what can be given instead."""
    why, names = _why_not(aim, known)
    margin = shown_by(aim, known, EXAMPLE_SUBJECTS, wanted)
    shown = f"{EXAMPLE_SUBJECTS:,} subjects with both numbers would show "
    if aim.figure == "coverage" and known.coverage > aim.most:  # an interval that is too wide
        shown = f"that it covers {aim.least:g} or more is {aim.figure}={aim.least:g}..1"
    elif margin is None:
        shown += "no margin of it"
    else:
        shown += with_margin(aim, margin).text
    better = " or ".join(f"--assume {name}=VALUE" for name in names)
    return (
        f"--aim {aim.text}: no study of {MOST_SUBJECTS:,} subjects shows this, with {why} ({known.source}); {shown}; if"
        f" you know better: {better}"
    )


def _why_not(aim: Aim, known: Assumptions) -> tuple[str, tuple[str, ...]]:
    """What is assumed of the figure that the aim is about, in words, and the names it can be given by."""
    site = aim.site or SITES[0]
    rmse = f"an RMSE of {known.rmse_gcm2[site]:g} g/cm2"
    match aim.figure:
        case "bias_gcm2":
            return f"a bias of {known.bias_gcm2[site]:g} and {rmse}", (f"bias_gcm2.{site}", f"rmse_gcm2.{site}")
        case "coverage":
            return f"an interval that covers {known.coverage:g}", ("coverage",)
        case "sensitivity" | "specificity":
            return f"a prevalence of {known.prevalence:g}", ("prevalence",)
        case "int8_rmse_change":
            return f"an SD of INT8 minus fp32 of {known.int8_sd_gcm2:g} g/cm2 at a hip", ("int8_sd_gcm2",)
        case "auroc":
            film, other = compared(known, aim.against or "")[3:]
            said = f"an AUROC of {film:.2f} for films and {other:.2f} for {COMPARATOR_NAMES[aim.against or '']}"
            return said, ("rmse_gcm2", f"r_{aim.against}", "prevalence")
    return rmse, (f"rmse_gcm2.{site}",)
