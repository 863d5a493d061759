"""What adapting to films without DEXA gains, in the words and tables of the trainer's page."""

from collections.abc import Iterator
from typing import Any

_DOMAINS = ("makers", "chains")
_SITES = {"femoral_neck": "neck", "total_hip": "hip"}
_HIPS = {"both": "of all hips", "screening": "of the screening population's hips alone"}


def adaptation(facts: dict[str, Any]) -> str:
    """The short form of the trainer's `adapt.json`: RMSE against no adaptation, and the learning curve."""
    found = {(one["population"], one["row"], one["domain"], one["site"]): one for one in facts["rows"]}
    rows = list(dict.fromkeys(one["row"] for one in facts["rows"]))
    lines = [
        f"RMSE in g/cm2, mean of {facts['seeds']} seeds, {facts['unlabelled_hips']} unlabelled hips, and its change from"
        " no adaptation with a paired 95 % interval over subjects.",
    ]
    for population, words in _HIPS.items():
        cells = {row: [_cell(found[population, row, *place]) for place in _places()] for row in rows}
        counts = {domain: found[population, rows[0], domain, "total_hip"]["n"] for domain in _DOMAINS}
        said = ", ".join(f"{count} of {domain}" for domain, count in counts.items())
        lines += ["", f"RMSE {words} ({said}):", ""]
        lines += _table(["row", *(f"{domain}: {_SITES[site]}" for domain, site in _places())], cells)
    lines += ["", "By the number of unlabelled hips (chains, all hips, RMSE):", "", *_curve(facts)]
    return "\n".join(lines)


def _places() -> Iterator[tuple[str, str]]:
    return ((domain, site) for domain in _DOMAINS for site in _SITES)


def _cell(one: dict[str, Any]) -> str:
    if "less_none" not in one:
        return f"{one['rmse_gcm2']:.3f}"
    less = one["less_none"]
    before = one["rmse_gcm2"] - less["difference"]
    low, high = (100 * less[end] / before for end in ("low", "high"))
    return f"{one['rmse_gcm2']:.3f}, {less['percent']:+.1f} % ({low:+.1f} to {high:+.1f})"


def _curve(facts: dict[str, Any]) -> list[str]:
    found = {(one["row"], one["films"], one["site"]): one["rmse_gcm2"] for one in facts["learning_curve"]}
    counts = sorted({films for _, films, _ in found})
    cells = {
        row: [" / ".join(f"{found[row, films, site]:.3f}" for site in _SITES) for films in counts]
        for row in dict.fromkeys(row for row, _, _ in found)
    }
    return _table([f"row ({' / '.join(_SITES.values())})", *map(str, counts)], cells)


def _table(head: list[str], cells: dict[str, list[str]]) -> list[str]:
    rows = ([f"`{row}`", *of_row] for row, of_row in cells.items())
    return [f"| {' | '.join(one)} |" for one in (head, ["---"] * len(head), *rows)]
