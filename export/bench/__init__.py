"""How fast the runtime is.

In: a bundle, and films of one's own or made for it. Out: seconds by stage, the whole beside its floor and a plain loop.
Needs the runtime's libraries only; torch for the plain loop alone.
"""
