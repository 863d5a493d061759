"""What adapting to films without DEXA gains, in the words and tables of the trainer's page."""

from typing import Any

_SITES = {"femoral_neck": "neck", "total_hip": "hip"}
_TABLES = (
    ("sites", "both", "One site's films: a display chain that no label has, people as those with labels"),
    ("makers", "both", "Makers and anatomies that no label has"),
    ("chains", "both", "Another far display chain on each film, and anatomies that no label has"),
    ("chains", "screening", "Of these, the people that are as those with labels"),
)


def adaptation(facts: dict[str, Any]) -> str:
    """The short form of the trainer's `adapt.json`: RMSE and coverage against no adaptation, and learning curves."""
    lines = [
        f"**Synthetic**, {facts['unlabelled_hips']} unlabelled hips, {facts['seeds']} seeds (`{facts['command']}`)."
        " RMSE in g/cm2, its change from no adaptation with a paired 95 % interval over subjects, and how many the 90 %"
        " interval covers.",
    ]
    for domain, population, words in _TABLES:
        some = [one for one in facts["rows"] if (one["domain"], one["population"]) == (domain, population)]
        found = {(one["row"], one["site"]): one for one in some}
        rows = list(dict.fromkeys(row for row, _ in found))
        cells = {row: [text for site in _SITES for text in _cells(found[row, site])] for row in rows}
        head = ["row", *(f"{name}{what}" for name in _SITES.values() for what in ("", ": change", ": covered"))]
        lines += ["", f"{words} ({some[0]['n']} hips):", "", *_table(head, cells)]
    lines += ["", "By the number of unlabelled hips, RMSE at neck / hip:", "", *_curves(facts["learning_curve"])]
    return "\n".join(lines)


def _cells(one: dict[str, Any]) -> tuple[str, str, str]:
    change = ""
    if less := one.get("less_none"):
        before = one["rmse_gcm2"] - less["difference"]
        low, high = (100 * less[end] / before for end in ("low", "high"))
        change = f"{less['percent']:+.0f} % ({low:+.0f} to {high:+.0f})"
    return f"{one['rmse_gcm2']:.3f}", change, f"{100 * one['coverage']:.0f} %"


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
