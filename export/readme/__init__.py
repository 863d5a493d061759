"""What stands between the markers of the pages.

In: committed measurements, import contracts, docstrings of rooms. Out: figures, maps, the output of the demo.
Measures nothing but what `bmd-edge demo` prints.
"""
