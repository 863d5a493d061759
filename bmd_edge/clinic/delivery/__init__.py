"""From the outbox to the archives: finished bytes by C-STORE, STOW-RS or FHIR, again until somebody answers for them.

In: deliveries of the journal and the files that they name. Out: what the archives said, in the journal.
Makes no object and changes none.
"""
