"""One film gives one number, whatever the CPU: with VNNI, without, and with nothing newer than SSE4.2."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from bmd_edge.engine import onnx_runtime
from tests.support.other_cpus import CPUS, EMULATOR, emulated, largest_difference, numbers

ALLOWED_GCM2 = {"fp32": 0.0001, "int8": 0.001}
FILM = "right_hip.dcm"


@pytest.mark.timeout(1200)
def test_other_cpus_say_the_same() -> None:
    if shutil.which(EMULATOR) is None:
        pytest.skip(f"NOT SHOWN HERE that a film gives one number on every CPU: {EMULATOR}: apt-get install qemu-user")
    here = numbers([FILM], saturates=onnx_runtime._saturates())
    assert len(here) == 1
    with ThreadPoolExecutor(len(CPUS)) as pool:
        for cpu, there in zip(CPUS, pool.map(lambda cpu: emulated(cpu, [FILM]), CPUS), strict=True):
            moved = largest_difference(here, there)
            assert all(moved[precision] <= allowed for precision, allowed in ALLOWED_GCM2.items()), (cpu, moved)
