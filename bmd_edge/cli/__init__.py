"""The command line.

In: what somebody typed. Out: results on stdout, the rest on stderr, an exit code.
Loads nothing heavy before a command needs it, and workshops by name only.
"""
