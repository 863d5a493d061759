"""How far films of one unchanged hip differ, and how estimates follow true changes.

In: a film table with several films of each hip. Out: a clinic's repeatability, for `bmd-edge follow`.
Must not change a bundle, a recalibration or an estimate.
"""
