"""Geometry without anatomy.

In: rough shapes and rigid transforms. Out: signed-distance grids, their projections, coarse fields.
It knows no bone, no beam and no film.
"""
