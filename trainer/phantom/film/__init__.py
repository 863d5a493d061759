"""One film, from its specification to DICOM bytes.

In: a FilmSpec. Out: stored pixels, header facts, landmarks, true BMD and label; a pure function of the FilmSpec.
It knows no cohort and no network.
"""
