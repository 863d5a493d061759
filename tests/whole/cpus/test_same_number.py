"""One film gives one number, whatever the CPU: with VNNI, without, and with nothing newer than SSE4.2."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from bmd_edge.engine import onnx_runtime
from tests.whole.cpus.other_cpus import CPUS, EMULATOR, emulated, largest_difference, numbers

ALLOWED_GCM2 = {"fp32": 0.0001, "int8": 0.001}
FILM = "right_hip.dcm"


SECONDS = 480.0


@pytest.mark.timeout(580)
def test_other_cpus_say_the_same() -> None:
    lacking = "NOT SHOWN HERE that a film gives one number on every CPU"
    if shutil.which(EMULATOR) is None:
        pytest.skip(f"{lacking}: no {EMULATOR}, apt-get install qemu-user")
    here = numbers([FILM], saturates=onnx_runtime._saturates())
    assert len(here) == 1
    with ThreadPoolExecutor(len(CPUS)) as pool:
        asked = {cpu: pool.submit(emulated, cpu, [FILM], SECONDS) for cpu in CPUS}
    late = []
    for cpu, answer in asked.items():
        try:
            moved = largest_difference(here, answer.result())
        except subprocess.TimeoutExpired:
            late.append(cpu)
        else:
            assert all(moved[precision] <= allowed for precision, allowed in ALLOWED_GCM2.items()), (cpu, moved)
    if late:
        pytest.skip(f"{lacking}: this machine is too busy to emulate {' and '.join(late)} in {SECONDS:.0f} s")
