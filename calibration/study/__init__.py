"""The study of a clinic: how many films it needs, its plan before the results, and several clinics together.

In: what is to be shown, a bundle, a finished validation. Out: sizes, a frozen plan, deviations, a summary to share.
Knows no film; measures nothing that `validate` does not.
"""
