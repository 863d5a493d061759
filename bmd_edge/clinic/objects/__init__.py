"""From a report to the objects that say it: SR (TID 1500) and SC; on request GSPS, PDF and FHIR resources.

In: the bytes of a film, its report and its picture. Out: finished bytes, named by what they say.
Knows no journal and no network.
"""
