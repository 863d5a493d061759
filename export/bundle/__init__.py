"""Everything a bundle holds, packed and verified.

In: model files, a film table, facts. Out: a self-tested bundle with its model card, signed if wanted.
Quantizes and fits nothing itself.
"""
