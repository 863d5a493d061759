import os

import numpy as np

from export.bench import one_build


def test_cost_is_what_a_process_spends_from_one_look_to_the_next() -> None:
    before = one_build.cost(os.getpid())
    held = np.ones(40_000_000, np.uint8)
    while one_build.cost(os.getpid())["cpu_s"] < before["cpu_s"] + 0.05:
        held += 1
    after = one_build.cost(os.getpid())
    assert after["faults"] - before["faults"] > 10  # huge pages are few
    assert after["disk_bytes"] >= before["disk_bytes"]
    assert one_build.peak_mb(os.getpid()) > 40
