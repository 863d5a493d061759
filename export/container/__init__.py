"""The runtime as a container, and what is in it.

In: a checkout and lists of packages pinned by their hashes. Out: layers, their bill of materials and their licenses.
Runs with Python's own library alone, before any package of the runtime is there; it starts no container itself.
"""
