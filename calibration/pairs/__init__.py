"""What a bundle answers beside what DEXA says.

In: a bundle and a film table. Out: each hip's answers beside its DEXA, and what is wrong with them.
Computes no figure and fits nothing.
"""
