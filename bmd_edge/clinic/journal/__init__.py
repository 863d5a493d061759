"""The journal of a clinic box: what became of every film, in one SQLite file that survives a power cut.

In: changes of state, each one transaction here and nowhere else. Out: films, objects and deliveries as they stand.
Standard library only, for the guard runs inside Orthanc's Python. Knows no door, no film's bytes and no network.
"""
