"""The digital hip phantom: synthetic AP hip and pelvis films with exactly known areal BMD and landmarks.

In: a seed and a cohort's configuration. Out: films, labels, film tables, and figures of how a bundle reads them.
Must not know networks, methods or trainings.
"""
