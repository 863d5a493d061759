"""Proofs of what a finished bundle promises, one command each.

In: a bundle and phantom cohorts. Out: the committed JSON of each proof.
Changes nothing of the bundle; no other room needs it.
"""
