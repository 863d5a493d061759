"""How a bundle does on films of several worlds: synthetic, foreign and real, side by side and never averaged.

In: film tables with status, landmarks, style and DEXA where known. Out: one report.
Fits and changes nothing.
"""
