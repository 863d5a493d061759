"""A bundle as other people's servers take it.

In: a verified bundle. Out: a model repository for Triton, a bundle for MONAI; and a client that measures with Triton.
Preprocessing, checks and calibration stay the runtime's: nothing is forked, and neither server is needed to write.
"""
