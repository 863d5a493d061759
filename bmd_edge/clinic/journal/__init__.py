"""The journal of a clinic box: what became of every film, in one SQLite file that survives a power cut.

In: changes of state, each one transaction. Out: films, objects, deliveries and the events that led to them.
Knows no door, no film's bytes and no network; standard library only, for the guard runs inside Orthanc's Python.
"""
