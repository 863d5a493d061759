"""The tasks: what a network learns, and from which films.

In: settings and a film table. Out: a task that the loop trains.
It knows nothing of the phantom, the command line and the paper's table.
"""
