"""The training workshop: the digital hip phantom, the networks and the method that trains them."""

import os

ISA = "ONEDNN_MAX_CPU_ISA"
ISA_CHOSEN = ISA in os.environ
"""Whether the user said which instructions oneDNN may use."""

# Some virtual machines announce AMX and then kill the process at its first bfloat16 backward pass (SIGILL). oneDNN
# reads this when torch computes for the first time; `trainer.run.machine.allow_amx` tries first whether AMX works.
os.environ.setdefault(ISA, "AVX512_CORE_FP16")
