"""Where an image comes from, as far as its header tells: the film itself, or a picture of it."""

from bmd_edge.dicom.header import Header

_IMAGE_TYPE, _CONVERSION, _VOI_FUNCTION = 0x00080008, 0x00080064, 0x00281056
# PS3.3 C.8.6.1: digitized video, workstation, scanned document and image, drawing, synthetic. The others, digital
# interface and digitized film, give the film itself.
_PICTURES = ("DV", "WSD", "SD", "SI", "DRW", "SYN")


def read_provenance(header: Header, lossy: bool) -> tuple[str, ...]:
    """Flags of an image that is a picture of the film, or shown twice through the same curve; `lossy` as compressed."""
    kinds = [kind.upper() for kind in header.texts(_IMAGE_TYPE)]
    copied = (
        header.text(_CONVERSION) in _PICTURES or "SECONDARY" in kinds[1:2] or any("SCREEN" in kind for kind in kinds)
    )
    # DCMTK's compression with loss burns the display curve in, makes the image DERIVED, and keeps the function
    curved = lossy and kinds[0] == "DERIVED" and (header.text(_VOI_FUNCTION) or "").upper() == "SIGMOID"
    return ("secondary_image",) * copied + ("sigmoid_perhaps_twice",) * curved
