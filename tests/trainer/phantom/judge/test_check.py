import numpy as np

from bmd_edge.table.film_table import HipRow
from trainer.phantom.judge.check import independence_rows, landmark_errors_px, shell_error


def test_mass_of_a_known_shell():
    assert abs(shell_error(pixel_mm=0.5)) < 0.005


def test_silhouette_landmarks_lie_on_the_shadow():
    found = [landmark_errors_px(seed, 0.5) for seed in range(20, 29)]
    assert np.median([abs(f["greater_trochanter"]) for f in found]) < 1.0
    assert np.median([abs(f["lesser_trochanter"]) for f in found]) < 1.0


def table_rows(leak: float) -> list[HipRow]:
    """Rows of 300 hips; with a leak, one maker films the denser ones."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(300):
        bmd = float(rng.normal(0.7, 0.14))
        maker = "A" if leak * (bmd - 0.7) + rng.normal(0, 0.1) > 0 else "B"
        extra = {"x_maker_style": maker, "x_seed": str(int(rng.integers(2**40)))}
        rows.append(
            HipRow(film=f"{index}.png", subject=str(index), side="RL"[index % 2], split="train",
                   bmd_gcm2={"femoral_neck": bmd, "total_hip": bmd}, extra=extra)
        )  # fmt: skip
    return rows


def test_the_check_sees_a_maker_that_gives_the_bone_away():
    (clean,), (leaking,) = (list(independence_rows(table_rows(leak))) for leak in (0.0, 0.3))
    assert clean.ok
    assert leaking.ok is False
    assert "worst: A" in leaking.name or "worst: B" in leaking.name
