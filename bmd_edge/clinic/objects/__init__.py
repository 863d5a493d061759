"""From a report to the DICOM objects that say it: a Structured Report (TID 1500) and a Secondary Capture.

In: the bytes of a film, its report and its picture. Out: finished bytes, named by what they say.
Knows no journal and no network.
"""
