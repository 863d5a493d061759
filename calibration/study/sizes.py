"""From aims to numbers of subjects and films, and what smaller studies could still show."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats

from bmd_edge.errors import UsageError
from bmd_edge.sites import SITES
from calibration.pairs.table_checks import MIN_SUBJECTS
from calibration.study.aims import COMPARATOR_NAMES, FORMS, Aim
from calibration.study.assumptions import Assumptions
from calibration.study.power import compared, power, reachable, with_margin

POWER = 0.9
MOST_SUBJECTS = 100_000
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
        UsageError: no study can, or none of up to 100,000 subjects.
    """
    subjects = smallest(lambda n: power(aim, known, n), wanted) if reachable(aim, known) else None
    if subjects is None:
        raise UsageError(
            f"--aim {aim.text}: no study of {MOST_SUBJECTS:,} subjects shows this: {_why_not(aim, known)}; aim at less,"
            " or correct it with --assume"
        )
    return Size(aim, subjects, enrolled(subjects, known), power(aim, known, subjects))


def smallest(reached: Callable[[int], float], wanted: float) -> int | None:
    """The first n from 30 on with `reached(n)` >= wanted, from which on the next twentieth keeps it too: exact
    probabilities go up and down with every subject.
    """
    high = MIN_SUBJECTS
    while reached(high) < wanted:
        high *= 2
        if high > MOST_SUBJECTS:
            return None
    low = max(high // 2, MIN_SUBJECTS - 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) >= wanted else (middle, high)
    n = high
    while short := [k for k in range(n, n + n // 20 + 1) if reached(k) < wanted]:
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
    if subjects < 1 or power(with_margin(aim, most), known, subjects) < wanted:
        return None
    low, high = 0.0, most
    while high - low > 0.02 * high and high > 1e-5:
        middle = (low + high) / 2
        low, high = (low, middle) if power(with_margin(aim, middle), known, subjects) >= wanted else (middle, high)
    return math.ceil(high * 10_000) / 10_000


def planned(
    aims: Sequence[Aim], known: Assumptions, subgroups: Mapping[str, float], wanted: float = POWER
) -> dict[str, Any]:
    """Sizes of all aims, the study that holds them all, smaller ones, and what is shown in subgroups of these shares.

    Raises:
        UsageError: nothing is aimed at, or an aim is out of reach.
    """
    if not aims:
        raise UsageError(f"plan needs --aim: what is to be shown? For example {', '.join(list(FORMS.values())[:3])}")
    sizes = [size(aim, known, wanted) for aim in dict.fromkeys(aims)]
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
        "comparators": {
            one.against: dict(zip(("film", "comparator"), compared(known, one.against)[3:], strict=True))
            for one in aims
            if one.against
        },
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


def _why_not(aim: Aim, known: Assumptions) -> str:
    """What is assumed of the figure that the aim is about, in words."""
    site = aim.site or SITES[0]
    rmse, prevalence = f"the RMSE is taken as {known.rmse_gcm2[site]:g} g/cm2", f"prevalence {known.prevalence:g}"
    said = {
        "bias_gcm2": f"the bias is taken as {known.bias_gcm2[site]:g}, {rmse}",
        "coverage": f"the interval is taken to cover {known.coverage:g}",
        "sensitivity": prevalence,
        "specificity": prevalence,
        "int8_rmse_change": f"INT8 is taken to move a hip by an SD of {known.int8_sd_gcm2:g} g/cm2, {rmse}",
    }
    if aim.against:
        film, other = compared(known, aim.against)[3:]
        return f"expected are {film:.2f} for films and {other:.2f} for {COMPARATOR_NAMES[aim.against]}, {prevalence}"
    return f"{said.get(aim.figure, rmse)} ({known.source})"
