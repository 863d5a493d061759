"""How fast the drift charts see a planted shift, and how seldom they cry wolf:
`python -m export.proofs.drift_delay BUNDLE --table TABLE --control TABLE --out FILE`.

Films are drawn with replacement from pools of phantom ROIs that the bundle has read: the same hips in control and under
each shift. All figures are synthetic, and a pool of some hundred hips is all that they rest on.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.errors import UsageError
from bmd_edge.system.files import replace_file
from bmd_edge.table.film_table import HipRow
from calibration.drift.control_charts import WEIGHT
from calibration.drift.studies import F64, FACTS, Seen, of_rows
from calibration.drift.watch import reference_in
from calibration.drift.watched_features import DriftReference
from export.proofs.phantom_rois import answers_of, named, rows_named, run

WARM_UP, PATIENCE, RUNS = 100, 1_000, 2_000
CONTROL_CHARTS, CONTROL_STUDIES = 500, 4_000
OLDER_YEARS = 10.0
_FACTOR = (2 - WEIGHT) / WEIGHT
Scores = Mapping[str, F64]


@dataclass
class _Charts:
    """Many independent sets of all charts, one study at a time."""

    reference: DriftReference
    runs: int

    def __post_init__(self) -> None:
        self.z = {name: np.zeros((self.runs, len(one.mean))) for name, one in self.reference.watched.items()}

    def step(self, scores: Scores, drawn: Any) -> dict[str, Any]:
        """One study each; returns by chart which of the sets (runs,) are in alarm."""
        alarm = {}
        for name, z in self.z.items():
            z += WEIGHT * (scores[name][drawn] - z)
            alarm[name] = np.einsum("np,np->n", z, z) * _FACTOR > self.reference.watched[name].limit
        return alarm

    def restart(self, which: Any) -> None:
        """After an alarm a set begins anew."""
        for z in self.z.values():
            z[which] = 0.0


def in_control(reference: DriftReference, seen: Seen, seed: int = 0) -> dict[str, Any]:
    """Average run length over all charts together: studies per alarm, with the exact 95 % Poisson interval."""
    from scipy import stats

    rng, scores = np.random.default_rng(seed), reference.scores(seen)
    charts, alarms, by_chart = _Charts(reference, CONTROL_CHARTS), 0, Counter[str]()
    for _ in range(CONTROL_STUDIES):
        found = charts.step(scores, rng.integers(len(seen), size=CONTROL_CHARTS))
        alarm = np.any(list(found.values()), axis=0)
        alarms += int(alarm.sum())
        by_chart.update({name: int(over.sum()) for name, over in found.items()})
        charts.restart(alarm)
    studies = CONTROL_CHARTS * CONTROL_STUDIES
    most = stats.chi2.ppf(0.975, 2 * alarms + 2) / 2
    least = stats.chi2.ppf(0.025, max(2 * alarms, 1)) / 2
    return {
        "pool_studies": len(seen),
        "simulated_studies": studies,
        "alarms": alarms,
        "alarms_by_chart": dict(by_chart),
        "average_run_length": round(studies / max(alarms, 1)),
        "low": round(studies / most),
        "high": round(studies / least) if alarms else None,
    }


def delay(reference: DriftReference, before: Seen, after: Seen, seed: int = 0) -> dict[str, Any]:
    """Studies from the shift to the first alarm; runs that were in alarm before it do not count."""
    rng = np.random.default_rng(seed)
    charts, old, new = _Charts(reference, RUNS), reference.scores(before), reference.scores(after)
    false = np.zeros(RUNS, bool)
    for _ in range(WARM_UP):
        false |= np.any(list(charts.step(old, rng.integers(len(before), size=RUNS)).values()), axis=0)
    waited = np.full(RUNS, PATIENCE + 1)
    for study in range(1, PATIENCE + 1):
        alarm = np.any(list(charts.step(new, rng.integers(len(after), size=RUNS)).values()), axis=0)
        waited[alarm & (waited > PATIENCE)] = study
        if (waited <= PATIENCE).all():
            break
    waited = np.sort(waited[~false])
    if not len(waited):
        raise UsageError("every run was in alarm before the shift: the bundle's reference is not of films like these")
    reach = 1.96 * np.sqrt(len(waited) * 0.9 * 0.1)
    low, high = (waited[min(int(0.9 * len(waited) + sign * reach), len(waited) - 1)] for sign in (-1, 1))
    return {
        "pool_studies": len(after),
        "runs": len(waited),
        "median": _censored(np.quantile(waited, 0.5)),
        "p90": _censored(np.quantile(waited, 0.9)),
        "p90_low": _censored(low),
        "p90_high": _censored(high),
    }


def _censored(value: float) -> float | str:
    return float(value) if value <= PATIENCE else f"> {PATIENCE}"


def older(seen: Seen) -> Seen:
    """The oldest of the studies, whose mean age is 10 years or more above that of all, as many as there are."""
    order = np.argsort(-seen.facts[:, 0])
    means = np.cumsum(seen.facts[order, 0]) / np.arange(1, len(order) + 1)
    return seen.take(order[means >= seen.facts[:, 0].mean() + OLDER_YEARS])


def without(seen: Seen, fact: int) -> Seen:
    """The same studies with a fact of the header unknown."""
    facts = seen.facts.copy()
    facts[:, fact] = np.nan
    return replace(seen, facts=facts)


def simulate(bundle: VerifiedBundle, precision: str, table: Path, control: Sequence[str]) -> dict[str, Any]:
    """All figures of one precision.

    Args:
        bundle: it holds the reference and the limits.
        precision: whose model file answers.
        table: film table of `bmd-edge phantom shifted`.
        control: further ROIs in control, TABLE[:SPLITS] each, for the run length.
    """
    reference = reference_in(bundle, precision)
    rows = rows_named(f"{table}:test")
    conditions = list(dict.fromkeys(row.extra["x_condition"] for row in rows))
    seen = {name: _seen(bundle, precision, [r for r in rows if r.extra["x_condition"] == name]) for name in conditions}
    before = seen.pop("none")
    pools = [before, *(_seen(bundle, precision, rows_named(one)) for one in control)]
    wide = Seen(*(np.concatenate([getattr(one, part) for one in pools]) for part in Seen.__slots__))
    shifts = {**seen, "older patients": older(wide)}
    if "kvp" in seen:
        shifts["kvp, not stated"] = without(seen["kvp"], FACTS.index("kvp"))
    return {
        "reference_studies": reference.studies,
        "limits": {name: round(one.limit, 2) for name, one in reference.watched.items()},
        "watched": {name: list(one.names) for name, one in reference.watched.items()},
        "in_control": in_control(reference, wide),
        "delay_in_studies": {
            name: delay(reference, without(wide, FACTS.index("kvp")) if "not stated" in name else wide, after)
            for name, after in shifts.items()
        },
    }


def _seen(bundle: VerifiedBundle, precision: str, rows: list[HipRow]) -> Seen:
    answers = answers_of(bundle, precision, rows)
    return of_rows(answers.rows, answers.bmd, answers.spread, answers.embedding, answers.gray)


def main(arguments: Sequence[str], say: Callable[[str], object]) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m export.proofs.drift_delay", description=__doc__.split(":")[0])
    parser.add_argument("bundle", nargs="?", type=Path, help="bundle folder; default the embedded one")
    parser.add_argument("--table", type=Path, required=True, help="film table of `bmd-edge phantom shifted`")
    parser.add_argument(
        "--control",
        action="append",
        default=[],
        metavar="TABLE[:SPLITS]",
        help="more ROIs in control, and its splits to use (default calibrate); repeatable",
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the figures")
    asked = parser.parse_args(arguments)
    bundle, precisions = read_bundle(asked.bundle), {}
    for precision in bundle.precisions("bmd"):
        found = precisions[precision] = simulate(bundle, precision, asked.table, asked.control)
        say(f"{precision}: in control one alarm in {found['in_control']['average_run_length']} studies")
        for name, one in found["delay_in_studies"].items():
            say(f"{precision}: {name}, nine of ten are seen within {one['p90']} studies")
    facts = {
        "command": "python -m export.proofs.drift_delay " + " ".join(named(one) for one in arguments),
        "synthetic": True,
        "bundle": bundle.manifest.version,
        "bundle_digest": bundle.digest,
        "precisions": precisions,
    }
    with replace_file(asked.out) as file:
        file.write(json.dumps(facts, indent=1, allow_nan=False) + "\n")
    return 0


if __name__ == "__main__":
    run(main)
