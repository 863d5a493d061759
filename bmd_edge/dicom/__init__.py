"""From the bytes of a file to its header.

In: the bytes of a DICOM file. Out: typed header values, and the layout and the bytes of its one frame.
Must not know what a hip, a view or a side is, and decodes no pixel.
"""
