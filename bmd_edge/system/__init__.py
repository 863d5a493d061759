"""What the machine gives.

In: paths, this process. Out: CPUs and memory it may use, its cache folders, files read safely and replaced whole,
what kind of file one is.
Knows no film, no network and no table.
"""
