"""From a training run to one fp32 ONNX file.

In: a run folder. Out: one self-contained file that keeps the rules of `rules.py`.
Knows nothing of films and of 8 bits.
"""
