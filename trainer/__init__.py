"""The training workshop: the digital hip phantom, the networks and the method that trains them."""

import os

# Some virtual machines announce AMX and then kill the process at its first bfloat16 backward pass (SIGILL). oneDNN
# reads this when torch computes for the first time; AVX-512 is as fast on networks of this size. Set it to
# AVX512_CORE_AMX to use AMX where it works.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_FP16")
