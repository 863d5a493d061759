"""Films of a table or of screening runs come in; a reference, or what has moved against it, goes out.

No DEXA is needed here, and no figure of agreement is known.
"""
