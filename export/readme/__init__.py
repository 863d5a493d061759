"""The committed result files come in; the figures between README.md's markers go out.

Nothing is measured here but what `bmd-edge demo` prints.
"""
