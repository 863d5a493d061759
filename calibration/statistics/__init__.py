"""Arrays of estimates and DEXA come in, figures with intervals go out.

Bootstrap over subjects, agreement, detection, precision error, conformal quantiles. Nothing here knows of films,
tables or bundles.
"""
