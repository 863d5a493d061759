"""What the machine gives.

In: paths, this process. Out: CPUs and memory to use, cache folders, files read safely and replaced whole, what one is.
Knows no film, no network and no table.
"""
