"""Whether estimates are better than what is known without a film: the mean, or age, sex and size of the hip.

Each baseline predicts a hip from the hips of all other subjects, so that it judges nobody by himself. What this costs,
where few subjects fit the columns, is taken off its error: a network may have learned the same from thousands.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.knowledge import RmseAgainst, SiteKnowledge
from calibration.statistics.bootstrap import F64, by_subject

SUBJECTS_A_COLUMN = 20
"""From so many on for each column, squares and products of what is known join it: BMD falls with age along a curve,
and not alike in women and men.
"""


def of_person(age_years: Sequence[float | None], sex: Sequence[str | None], size_mm: Sequence[float]) -> dict[str, F64]:
    """What is known of some hips' persons, as `knowledge` takes it; size NaN where it is not."""
    female = [{"F": 1.0, "M": 0.0}.get(one or "") for one in sex]
    values = {"age": age_years, "sex": female, "size of the hip": size_mm}
    return {name: np.array(some, np.float64) for name, some in values.items()}


def knowledge(estimate: F64, dexa: F64, known: Mapping[str, F64], subject: Sequence[str]) -> SiteKnowledge:
    """Compare the estimates (n,) of one site with its baselines.

    Args:
        estimate, dexa: g/cm2, of one hip or more.
        known: what is known of each hip's person, name -> (n,), NaN where it is not. A name counts where half of the
            hips or more have it; those that have all that count are compared.
        subject: (n,) whose hip it is.
    """
    names = [name for name, values in known.items() if 2 * np.isfinite(values).sum() >= len(dexa)]
    columns = np.stack([known[name] for name in names], 1) if names else np.empty((len(dexa), 0))
    some = np.isfinite(columns).all(1)
    who = np.asarray(subject, np.str_)
    mean = _against((), estimate, dexa, np.empty((len(dexa), 0)), who)
    if not names or not some.any():
        return SiteKnowledge(mean, None)
    return SiteKnowledge(mean, _against(names, estimate[some], dexa[some], columns[some], who[some]))


def _against(names: Sequence[str], estimate: F64, dexa: F64, columns: F64, subject: NDArray[np.str_]) -> RmseAgainst:
    predicted, fitted = predicted_by_others(columns, dexa, subject)
    ours, theirs = (estimate - dexa) ** 2, fitted * (predicted - dexa) ** 2

    def figures(weights: F64) -> dict[str, F64]:
        with np.errstate(all="ignore"):
            mine, other = (np.sqrt(weights @ squares / weights.sum(-1)) for squares in (ours, theirs))
            return {"rmse": mine, "baseline": other, "ratio": mine / other}

    found = by_subject(figures, subject.tolist())
    rmse, baseline, ratio = (found[name].value or 0.0 for name in ("rmse", "baseline", "ratio"))
    low, high = found["ratio"].low, found["ratio"].high
    return RmseAgainst(tuple(names), len(dexa), len(set(subject.tolist())), rmse, baseline, ratio, low, high)


def predicted_by_others(columns: F64, dexa: F64, subject: NDArray[np.str_]) -> tuple[F64, float]:
    """DEXA (n,) of each hip by least squares on the `columns` (n, p) of the hips of all other subjects.

    Without columns it is the mean of the others. Columns that do not vary, or that others make up, do no harm. Beside
    it the share of the squared error that would be left if nothing had to be fitted: 1 - columns / subjects.
    """
    names, codes = np.unique(subject, return_inverse=True)
    x = _design(columns, len(names))
    of_subject = np.zeros((len(names), x.shape[1], x.shape[1] + 1))  # each one's share of the normal equations
    np.add.at(of_subject, codes, x[:, :, None] * np.concatenate([x, dexa[:, None]], 1)[:, None, :])
    others = of_subject.sum(0) - of_subject
    weights = np.einsum("spq,sq->sp", np.linalg.pinv(others[..., :-1], rcond=1e-10, hermitian=True), others[..., -1])
    predicted: F64 = np.einsum("np,np->n", x, weights[codes])
    rank = int(np.linalg.matrix_rank(x)) if len(x) else 0
    return predicted, max(1 - rank / len(names), 0.0)


def _design(columns: F64, subjects: int) -> F64:
    """1, the columns in units of their SD, and their squares and products where the subjects are many; (n, q)."""
    spread = columns.std(0)
    unit = (columns - columns.mean(0)) / np.where(spread > 0, spread, 1)
    pairs = list(combinations_with_replacement(range(unit.shape[1]), 2))
    parts = [np.ones((len(unit), 1)), unit]
    if subjects >= SUBJECTS_A_COLUMN * (1 + unit.shape[1] + len(pairs)):
        parts += [unit[:, [j]] * unit[:, [k]] for j, k in pairs]
    return np.concatenate(parts, 1)
