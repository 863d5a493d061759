"""Film tables and films to learn from.

In: a film table and its films. Out: regions, whole films, views and their augmentation, as arrays.
It knows settings, but no network and no loss.
"""
