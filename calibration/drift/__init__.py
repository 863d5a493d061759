"""Whether the films still look as they did.

In: films of a table or of screening runs. Out: a reference, or what has moved against it.
Needs no DEXA and knows no figure of agreement.
"""
