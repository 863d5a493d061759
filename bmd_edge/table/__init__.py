"""The film table, by which the workshops know films, subjects and DEXA.

In: a CSV file. Out: one checked row per hip, and its DEXA on the Hologic scale.
Must not know pixels or networks; no film is read here, and no screening needs it.
"""
