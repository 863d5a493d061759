"""Many films on disk.

In: a cohort's configuration. Out: its films and their film table; an interrupted run goes on.
It knows no bundle and judges nothing.
"""
