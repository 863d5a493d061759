import pytest

from bmd_edge.table.dxa_scales import to_hologic


def test_scales_meet_where_the_literature_says():
    assert to_hologic(0.899, "femoral_neck", "lunar") == pytest.approx(0.738, abs=0.001)
    assert to_hologic(0.8, "total_hip", "hologic") == 0.8
    assert to_hologic(0.019 + 1.087 * 0.6, "femoral_neck", "sbmd") == pytest.approx(0.6)
