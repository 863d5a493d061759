"""From fp32 to INT8, and what that changes in g/cm2.

In: an fp32 file, images, and the hips that judge. Out: an INT8 file, its ranges, its layers, its shifts.
Knows no film table and no bundle folder.
"""
