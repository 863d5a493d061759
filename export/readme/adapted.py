"""What adapting to films without DEXA gains, in the words and tables of the trainer's page."""

from typing import Any

_SITES = {"femoral_neck": "neck", "total_hip": "hip"}
_ELSEWHERE = {
    "makers": ("makers", "both"),
    "chains": ("chains", "both"),
    "chains, screening": ("chains", "screening"),
}


def adaptation(facts: dict[str, Any]) -> str:
    """The short form of the trainer's `adapt.json`: RMSE and coverage against no adaptation, and learning curves."""
    found = {(one["domain"], one["population"], one["row"], one["site"]): one for one in facts["rows"]}
    rows = list(dict.fromkeys(row for _, _, row, _ in found))
    of_sites = {row: [text for site in _SITES for text in _cells(found["sites", "both", row, site])] for row in rows}
    elsewhere = {
        row: [_change(found[*place, row, site]) for place in _ELSEWHERE.values() for site in _SITES] for row in rows
    }
    columns = ("RMSE", "change", "covered")
    return "\n".join(
        [
            f"**Synthetic** (`{facts['command']}`), {facts['unlabelled_hips']} unlabelled hips,",
            f"{facts['seeds']} seeds. A site has one display chain far beyond any maker's on all its films, another",
            f"for each seed, and people as those with labels; {_n(found, 'sites')} hips judge. RMSE in g/cm2, its",
            "change from no adaptation with a paired 95 % interval over subjects, and how many the 90 % interval has:",
            "",
            *_table(["row", *(f"{site}: {name}" for site in _SITES.values() for name in columns)], of_sites),
            "",
            "The change where it is not one site that is strange: makers held out, and another far chain on each film;",
            f"half of either's {_n(found, 'makers')} hips are of the wide population, the last columns leave them out:",
            "",
            *_table(["row", *(f"{words}: {site}" for words in _ELSEWHERE for site in _SITES.values())], elsewhere),
            "",
            "By the number of unlabelled hips, RMSE at neck / hip:",
            "",
            *_curves(facts["learning_curve"]),
        ]
    )


def _n(found: dict[tuple[str, str, str, str], dict[str, Any]], domain: str) -> int:
    return max(int(one["n"]) for (name, *_), one in found.items() if name == domain)


def _cells(one: dict[str, Any]) -> tuple[str, str, str]:
    change = _change(one) if "less_none" in one else ""
    return f"{one['rmse_gcm2']:.3f}", change, f"{100 * one['coverage']:.0f} %"


def _change(one: dict[str, Any]) -> str:
    """Of the RMSE, in percent; the RMSE itself where nothing is adapted."""
    if "less_none" not in one:
        return f"RMSE {one['rmse_gcm2']:.3f}"
    less = one["less_none"]
    before = one["rmse_gcm2"] - less["difference"]
    low, high = (100 * less[end] / before for end in ("low", "high"))
    return f"{less['percent']:+.0f} % ({low:+.0f} to {high:+.0f})"


def _curves(curve: list[dict[str, Any]]) -> list[str]:
    found = {(one["domain"], one["row"], one["films"], one["site"]): one["rmse_gcm2"] for one in curve}
    counts = sorted({films for _, _, films, _ in found})
    cells = {}
    for domain, row in dict.fromkeys((domain, row) for domain, row, _, _ in found):
        figures = [[found.get((domain, row, films, site)) for site in _SITES] for films in counts]
        cells[f"{row}` on `{domain}"] = [_both(figures_of) for figures_of in figures]
    return _table(["row", *map(str, counts)], cells)


def _both(figures: list[float | None]) -> str:
    return " / ".join(f"{one:.3f}" for one in figures if one is not None)


def _table(head: list[str], cells: dict[str, list[str]]) -> list[str]:
    rows = ([f"`{row}`", *of_row] for row, of_row in cells.items())
    return [f"| {' | '.join(one)} |" for one in (head, ["---"] * len(head), *rows)]
