"""A patient in three dimensions.

In: a seed and a pose. Out: a subject, its bones and metal as bodies, and its landmarks.
It knows no X-rays and no film.
"""
