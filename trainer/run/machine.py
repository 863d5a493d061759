"""What a training asks of the machine: bfloat16 only where it has instructions for it, AMX only where it works, and
memory that is kept.
"""

import ctypes
import os
import subprocess
import sys
from functools import cache

import torch

from trainer import ISA, ISA_CHOSEN
from trainer.run.settings import LoopConfig

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Names of parameters in glibc's malloc.h."""


def arithmetic(config: LoopConfig) -> str:
    """What a training computes in: "bfloat16" if the settings ask for it and the machine has instructions for it, else
    "float32". Emulated, bfloat16 took six to ten times as long as float32 (an AMD EPYC with AVX2, torch 2.13).
    """
    if not config.bf16:
        return "float32"
    if config.device == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
    return "bfloat16" if native else "float32"


_STEP = """
import torch
images = torch.rand(8, 32, 32, 32).to(memory_format=torch.channels_last).requires_grad_()
with torch.autocast("cpu", torch.bfloat16):
    found = torch.nn.Conv2d(32, 32, 3, padding=1)(images)
found.float().sum().backward()
"""


@cache
def allow_amx() -> bool:
    """Have oneDNN use AMX if the machine has it, the user did not choose otherwise, and another process survives a step
    in bfloat16 with it. To be called before torch computes anything: later it changes nothing.
    """
    if ISA_CHOSEN or not torch.cpu.get_capabilities().get("amx_bf16"):
        return False
    allowed = {**os.environ, ISA: "AVX512_CORE_AMX"}
    if subprocess.run([sys.executable, "-c", _STEP], env=allowed, capture_output=True, check=False).returncode:
        return False
    os.environ[ISA] = allowed[ISA]
    return True


def keep_freed_memory() -> None:
    """Have the C library keep what a step frees for the next one, where it can (glibc); the numbers stay the same.

    Else every step asks the system for the same pages again, which zeroes each: a tenth of a step's time and more.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 2**25)  # its largest value: bigger blocks are rare
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
