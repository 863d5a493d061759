"""What the machine gives.

In: paths, this process. Out: CPUs and memory it may use, its cache folders, files replaced whole.
Knows no film, no network and no table.
"""
