"""An fp32 file, images and the hips that judge come in; an INT8 file and what it changes in g/cm2 go out.

It knows no film table and no bundle folder.
"""
