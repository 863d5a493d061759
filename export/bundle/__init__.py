"""Model files, a film table and facts come in; a verified, self-tested bundle goes out, signed if wanted.

It quantizes and fits nothing itself.
"""
