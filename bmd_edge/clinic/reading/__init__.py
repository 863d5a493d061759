"""Films of the journal are read, one after the other, in a process that may be lost; their objects go to the outbox.

In: films as received, and the bundle. Out: reports in the journal, finished objects, versions of both.
Knows no network.
"""
