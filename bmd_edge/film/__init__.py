"""From header and pixels to a film.

In: a path, bytes or a data set. Out: a `Film`, bone-bright, with scale, view, side, patient and flags; or a refusal.
Must not know networks, landmarks or BMD.
"""
