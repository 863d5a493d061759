"""The same hip again: whether its estimate has changed by more than films of an unchanged hip differ.

In: reports of films of several visits, and how far repeated films differ. Out: series, statements, charts, files.
Never says that nothing has changed; knows no network and no film.
"""
