"""The measuring sites of a hip and the sides of the body, in the order of every table and network."""

SITES = ("femoral_neck", "total_hip")
SIDES = ("R", "L")
