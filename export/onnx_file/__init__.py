"""A training run comes in; one self-contained fp32 ONNX file that keeps the rules goes out.

It knows nothing of films and of 8 bits.
"""
