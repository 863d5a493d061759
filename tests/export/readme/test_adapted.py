"""Words and tables of the experiment of adaptation."""

from typing import Any

from export.readme.adapted import adaptation


def test_every_cell_is_its_own_row_domain_and_site() -> None:
    rows: list[dict[str, Any]] = []
    for population, n in (("both", 500), ("screening", 250)):
        for row, shift in (("none", 0.0), ("coral", -0.012)):
            for number, domain in enumerate(("makers", "chains")):
                for site, rmse in (("femoral_neck", 0.12), ("total_hip", 0.24)):
                    one = {"population": population, "row": row, "domain": domain, "site": site, "n": n}
                    one["rmse_gcm2"] = rmse + number / 10 + shift
                    if row != "none":
                        percent = 100 * shift / (rmse + number / 10)
                        one["less_none"] = {"difference": shift, "low": -0.024, "high": 0.006, "percent": percent}
                    rows.append(one)
    curve = [
        {"row": "coral", "films": films, "site": site, "rmse_gcm2": 10 / films + at}
        for films in (50, 200)
        for at, site in enumerate(("femoral_neck", "total_hip"))
    ]
    text = adaptation({"seeds": 3, "unlabelled_hips": 1000, "rows": rows, "learning_curve": curve})
    assert "| `none` | 0.120 | 0.240 | 0.220 | 0.340 |" in text
    assert "| `coral` | 0.108, -10.0 % (-20.0 to +5.0) | 0.228, -5.0 % (-10.0 to +2.5) |" in text
    assert "(500 of makers, 500 of chains)" in text
    assert "(250 of makers, 250 of chains)" in text
    assert "| `coral` | 0.200 / 1.200 | 0.050 / 1.050 |" in text
