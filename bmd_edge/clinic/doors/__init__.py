"""The ways in, one door behind all: C-STORE by Orthanc with the guard, STOW-RS behind nginx, the watched folder.

In: the bytes of films, and who sent them. Out: whole files in the spool, rows of the journal, a status for the sender.
Decodes no pixel and knows no result; what the guard imports is of the standard library.
"""
