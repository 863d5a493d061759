"""A bundle and a film table come in; each hip's answers beside its DEXA, and what is wrong with them, go out.

No figure is computed here, and nothing is fitted.
"""
