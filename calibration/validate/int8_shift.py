"""A quantized model against fp32 on the same films: shift of every estimate, and the answers that it turns over."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from bmd_edge.bundle.error_budget import ErrorBudget
from bmd_edge.measure.t_score import shown_range
from bmd_edge.sites import SITES
from calibration.pairs.answers import FilmAnswers
from calibration.pairs.pairs import Pair
from calibration.statistics.agreement import Data, figures
from calibration.statistics.bootstrap import F64, Figure, by_subject


def shift(difference: F64, weights: F64) -> dict[str, F64]:
    """Quantized minus fp32 (n,), g/cm2: mean, and 95th and 99th percentile of the magnitude (inverse of the CDF)."""
    with np.errstate(all="ignore"):
        n = weights.sum(-1)
        found = {"mean_shift_gcm2": weights @ difference / n}
        order = np.argsort(np.abs(difference), kind="stable")
        size, reached = np.abs(difference)[order], weights[..., order].cumsum(-1)
        for name, share in (("p95_shift_gcm2", 0.95), ("p99_shift_gcm2", 0.99)):
            # 1e-9: a share of whole weights in floating point must not step over a hip
            index = (reached >= share * n[..., None] - 1e-9).argmax(-1)
            found[name] = size[index] if len(size) else np.full(n.shape, np.nan)
        return found


def compare(pairs: Sequence[Pair], precision: str, limits: Mapping[str, ErrorBudget]) -> dict[str, dict[str, Any]]:
    """Shift of one precision against fp32 by site, with intervals by subject, against the bundle's budget.

    Non-inferior: the whole interval of the mean shift and the upper bounds of the 99th percentile and of the relative
    change of the RMSE against DEXA lie inside the budget, and so does the share of hips in another WHO range. `beyond`
    says where films are too few to tell, or too far off.
    """
    both = [one for one in pairs if all(one.answers[name].bmd_gcm2 for name in ("fp32", precision))]
    found = {}
    for site in SITES:
        subject = [one.subject for one in both]
        fp32, other = (np.array([one.answers[name].bmd_gcm2[site] for one in both]) for name in ("fp32", precision))
        figure = by_subject(partial(shift, other - fp32), subject)
        figure |= _against_dexa(both, site, precision)
        turned = [one for one in both if _range(one, site, "fp32") != _range(one, site, precision)]
        budget = limits.get(site)
        beyond = list(_beyond(figure, len(turned) / max(len(both), 1), budget)) if budget else []
        found[site] = {
            "hips": len(both),
            "subjects": len(set(subject)),
            "figures": {name: one._asdict() for name, one in figure.items()},
            "max_shift_gcm2": float(np.abs(other - fp32).max()) if both else None,
            "hips_in_another_range": len(turned),
            "limits": asdict(budget) if budget else None,
            "beyond": beyond,
            "verdict": None if not budget else "not_shown" if beyond else "non_inferior",
        }
    return found


def headlines(films: Sequence[FilmAnswers], precision: str, limits: Mapping[str, ErrorBudget]) -> dict[str, Any]:
    """Films under another headline than in fp32, as a reader sees both; a film with one in one precision only counts.

    Non-inferior: no larger share than that of hips that may be in another WHO range at each of the sites on which a
    headline stands. No verdict without a budget or a headline.
    """
    words = [(film.reports["fp32"].band, film.reports[precision].band) for film in films]
    shown = [pair for pair in words if any(pair)]
    turned = sum(first != second for first, second in shown)
    allowed = sum(budget.flip_share for budget in limits.values()) if limits else None
    verdict = None
    if shown and allowed is not None:
        verdict = "non_inferior" if turned <= allowed * len(shown) else "not_shown"
    return {"films": len(shown), "films_with_another": turned, "allowed_share": allowed, "verdict": verdict}


def _beyond(figure: Mapping[str, Figure], turned: float, limits: ErrorBudget) -> Iterator[str]:
    mean = figure["mean_shift_gcm2"]
    size = None if mean.low is None or mean.high is None else max(-mean.low, mean.high)
    for what, bound, limit in (
        ("mean shift", size, limits.mean_shift_gcm2),
        ("99th percentile of the shift", figure["p99_shift_gcm2"].high, limits.p99_shift_gcm2),
        ("relative change of the RMSE", figure["rmse_change"].high, limits.rmse_change_upper95),
    ):
        if bound is None:
            yield f"{what}: too few films for an interval"
        elif bound > limit:
            yield f"{what}: up to {bound:.4f}, allowed {limit:g}"
    if turned > limits.flip_share:
        yield f"hips in another WHO range: {turned:.1%}, allowed {limits.flip_share:.1%}"


def _against_dexa(pairs: Sequence[Pair], site: str, precision: str) -> dict[str, Figure]:
    """Relative change of the RMSE against DEXA, and quantized minus fp32 in r, paired."""
    some = [one for one in pairs if one.dexa_gcm2[site] is not None]
    dexa = np.array([one.dexa_gcm2[site] for one in some], np.float64)
    fp32, other = (
        Data(np.array([one.answers[name].bmd_gcm2[site] for one in some]), dexa, dexa, dexa, dexa)
        for name in ("fp32", precision)
    )

    def change(weights: F64) -> dict[str, F64]:
        first, second = figures(fp32, weights), figures(other, weights)
        with np.errstate(all="ignore"):
            return {
                "rmse_change": second["rmse_gcm2"] / first["rmse_gcm2"] - 1,
                "r_difference": second["r"] - first["r"],
            }

    return by_subject(change, [one.subject for one in some])


def _range(one: Pair, site: str, precision: str) -> str:
    return shown_range(site, one.answers[precision].bmd_gcm2[site])


def flips(pairs: Sequence[Pair], films: Sequence[FilmAnswers], precision: str) -> list[dict[str, Any]]:
    """Every answer that differs in kind from fp32's: WHO range of a site, headline of a film, number or refusal."""
    found: list[dict[str, Any]] = []

    def add(one: Pair | FilmAnswers, side: str | None, what: str, fp32: str | None, other: str | None) -> None:
        if fp32 != other:
            found.append({"film_id": one.film_id, "side": side, "what": what, "fp32": fp32, precision: other})

    for film in films:
        add(film, None, "band", film.reports["fp32"].band, film.reports[precision].band)
    for one in pairs:
        first, second = one.answers["fp32"], one.answers[precision]
        add(one, one.side, "outcome", first.reason or "read", second.reason or "read")
        if first.bmd_gcm2 and second.bmd_gcm2 and one.has_t_score:
            for site in SITES:
                add(one, one.side, site, _range(one, site, "fp32"), _range(one, site, precision))
    return found
