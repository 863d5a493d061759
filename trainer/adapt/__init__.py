"""A trained BMD network gets to know a clinic's films without DEXA.

In: a bundle or a run, and a folder of films. Out: a run folder that says on how many films it was adapted.
It knows nothing of the experiments.
"""
