"""From the bytes of a frame to stored integers.

In: a transfer syntax, the layout of the pixels, the bytes of one frame. Out: its stored values, whole or reduced.
Must not know the header, what the values mean or how they are shown.
"""
