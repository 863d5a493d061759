"""The clinic box: films come in from X-ray units, results lie ready for the archive, nothing is lost in between.

In: films by C-STORE, STOW-RS or a folder, and `clinic.toml`. Out: the journal, the spool and finished DICOM objects.
The one room with network code; only the program's commands start it.
"""
