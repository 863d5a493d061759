"""Figures of agreement, each with its interval.

In: arrays of estimates and DEXA. Out: agreement, detection, precision error, conformal quantiles, and their bootstrap.
Must not know films, tables or bundles.
"""
