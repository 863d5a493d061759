"""A made-up cohort, its validation, and a plan that fits it; tests change one thing."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from calibration.pairs.learned_from import Known
from calibration.study.frozen import StudyPlan, frozen
from calibration.validate.validate import Validation, compare
from tests.support.cohorts import POINTS, cohort, made_bundle, table_of

AIMS = ("femoral_neck.rmse_gcm2<=0.2", "sensitivity=0.9+-0.5", "specificity=0.9+-0.5", "auroc>=age-0.3")
MAKER = {"x_dexa_maker": "Horizon"}
LAID_DOWN: dict[str, Any] = {
    "subgroups": ("sex", "age", "BMI", "maker", "spacing", "side"),
    "exclusions": ("implants on both sides",),
    "days": 90,
    "scale": "hologic",
    "dexa_maker": "Horizon",
    "refusals": "against",
    "screened": (),
}


def validation(folder: Path, change: Any = None, subjects: int = 90) -> tuple[Validation, Path]:
    """The validation of a cohort, its rows dated and, by `change`, otherwise; and its table."""
    from dataclasses import replace
    from datetime import date

    rows, films = cohort(subjects)
    dated = [
        replace(row, film_date=date(2025, 3, 10), dxa_date=date(2025, 4, 2), scale="hologic", extra=MAKER)
        for row in rows
    ]
    rows = [change(row) for row in dated] if change else dated
    table = table_of(folder, rows)
    return compare(made_bundle(), table, "test", Known(), films, "cpu"), table


def draft(aims: tuple[str, ...] = AIMS, subjects: int = 80) -> dict[str, Any]:
    bundle = made_bundle()
    sizes = {
        "subjects": subjects, "enrolled": subjects + 5, "films": subjects, "hips": subjects, "power": 0.9,
        "power_of_all_at_least": 0.7, "smaller": [], "subgroups": [], "comparators": {}, "otherwise": None,
        "aims": [
            {"aim": aim, "subjects": 50, "enrolled": 60, "power": 0.9, "power_in_study": 0.95} for aim in aims
        ],
    }  # fmt: skip
    return {
        "bundle": bundle.manifest.version,
        "bundle_digest": bundle.digest,
        "precision": "int8",
        "cuts": {"low_suspected_t": POINTS.low_suspected_t, "refer_for_dxa_t": POINTS.refer_for_dxa_t},
        "assumptions": {
            "rmse_gcm2": {"femoral_neck": 0.06, "total_hip": 0.05},
            "hips": 1.5,
            "left_out": 0.1,
            "source": "a guess",
        },
        "sizes": json.loads(json.dumps(sizes)),
    }


def plan(made: str = "2025-01-01", of: dict[str, Any] | None = None, **other: Any) -> StudyPlan:
    return frozen(of or draft(), datetime.fromisoformat(made).replace(tzinfo=UTC), **{**LAID_DOWN, **other})
