"""From a film and the finder network to hips.

In: a film, the finder, the inputs and limits of its bundle. Out: intact hips with landmarks and region, or refusals.
Knows no BMD, no report and no file.
"""
