"""From films to reports: one film, or a folder of them with workers that may be lost.

In: a bundle and films. Out: reports, and the files of a run in its folder of results.
Knows no command line.
"""
