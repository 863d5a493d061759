import mmap
import os

from export.bench import one_build


def test_cost_is_what_a_process_spends_from_one_look_to_the_next() -> None:
    before = one_build.cost(os.getpid())
    with mmap.mmap(-1, 40 << 20) as held:
        held.madvise(mmap.MADV_NOHUGEPAGE)
        held[:] = bytes(40 << 20)
        while one_build.cost(os.getpid())["cpu_s"] < before["cpu_s"] + 0.05:
            held[:100] = bytes(100)
        after = one_build.cost(os.getpid())
    assert after["faults"] - before["faults"] >= (40 << 20) // mmap.PAGESIZE
    assert after["disk_bytes"] >= before["disk_bytes"]
    assert one_build.peak_mb(os.getpid()) > 40
