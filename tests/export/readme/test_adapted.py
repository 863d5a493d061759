"""Words and tables of the experiment of adaptation."""

from typing import Any

from export.readme.adapted import adaptation


def test_every_cell_is_its_own_row_domain_and_site() -> None:
    rows: list[dict[str, Any]] = []
    places = [("sites", "both", 400), ("makers", "both", 500), ("chains", "both", 500), ("chains", "screening", 250)]
    for number, (domain, population, n) in enumerate(places):
        for row, shift in (("none", 0.0), ("coral", -0.012)):
            for site, rmse in (("femoral_neck", 0.12 + number / 10), ("total_hip", 0.24 + number / 10)):
                one = {"population": population, "row": row, "domain": domain, "site": site, "n": n, "coverage": rmse}
                one["rmse_gcm2"] = rmse + shift
                if row != "none":
                    less = {"difference": shift, "low": -0.024, "high": 0.006, "percent": 100 * shift / rmse}
                    one["less_none"] = less
                rows.append(one)
    curve = [
        {"domain": domain, "row": "coral", "films": films, "site": site, "rmse_gcm2": 10 / films + at}
        for domain, films in (("sites", 50), ("sites", 200), ("chains", 50))
        for at, site in enumerate(("femoral_neck", "total_hip"))
    ]
    facts = {"seeds": 3, "unlabelled_hips": 1000, "command": "C", "rows": rows, "learning_curve": curve}
    first, of_sites, between, elsewhere, _, curves = adaptation(facts).split("\n\n")
    assert "(`C`), 1000 unlabelled hips,\n3 seeds." in first
    assert "400 hips judge" in first
    assert "of either's 500 hips" in between
    assert "| `none` | 0.120 |  | 12 % | 0.240 |  | 24 % |" in of_sites
    assert "| `coral` | 0.108 | -10 % (-20 to +5) | 12 % | 0.228 | -5 % (-10 to +2) | 24 % |" in of_sites
    none, coral = elsewhere.splitlines()[2:]
    assert none.split(" | ")[1:] == [f"RMSE 0.{n}" for n in (220, 340, 320, 440, 420)] + ["RMSE 0.540 |"]
    assert coral.startswith("| `coral` | -5 % (-11 to +3) | -4 % (-7 to +2) | -4 % (-8 to +2) |")
    assert "| `coral` on `sites` | 0.200 / 1.200 | 0.050 / 1.050 |" in curves
    assert "| `coral` on `chains` | 0.200 / 1.200 |  |" in curves
