"""Names of figures and sites on a command line."""

import pytest

from bmd_edge.sites import misnamed

FIGURES = ("r", "rmse_gcm2")


@pytest.mark.parametrize(
    "text", ["r>=0.9", "rmse_gcm2 <= 0.07", "total_hip.r>=0.9", "rmse_gcm2.femoral_neck=0.07", "r=0.9+-0.08"]
)
def test_names_that_there_are_are_not_called_wrong(text: str) -> None:
    assert misnamed(text, FIGURES) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rmse<=0.07", "'rmse' is not one of r, rmse_gcm2 (did you mean rmse_gcm2?); "),
        ("total_hip.rmse=0.07", "'rmse' is not one of r, rmse_gcm2 (did you mean rmse_gcm2?); "),
        ("rmse.total_hip=0.07", "'rmse' is not one of r, rmse_gcm2 (did you mean rmse_gcm2?); "),
        ("hip.r>=0.9", "'hip' is not one of femoral_neck, total_hip (did you mean total_hip?); "),
        ("rmse_gcm2.neck=0.07", "'neck' is not one of femoral_neck, total_hip (did you mean femoral_neck?); "),
        ("", "'' is not one of r, rmse_gcm2; "),
    ],
)
def test_a_name_that_is_not_there_is_said_with_the_nearest(text: str, said: str) -> None:
    assert misnamed(text, FIGURES) == said
