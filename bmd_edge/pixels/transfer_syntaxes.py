"""The transfer syntaxes that can be read: what each is called, who decodes it, whether it loses something."""

from dataclasses import dataclass

from bmd_edge.errors import FilmRefused

DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"

MAX_RATIO = 200
"""No film is compressed further, however much of it is black; what claims to be is blank, cut or a bomb."""


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """What a transfer syntax is called, which library decodes it, and to which family it belongs."""

    name: str
    decoder: str
    family: str

    @property
    def encapsulated(self) -> bool:
        """Whether a frame is stored as fragments (PS3.5 A.4)."""
        return self.family != "native"


# PS3.5 section 10 and annex A; UIDs of PS3.6 table A-1
_SYNTAXES: dict[str, TransferSyntax] = {
    "1.2.840.10008.1.2": TransferSyntax("Implicit VR Little Endian", "numpy", "native"),
    "1.2.840.10008.1.2.1": TransferSyntax("Explicit VR Little Endian", "numpy", "native"),
    "1.2.840.10008.1.2.1.99": TransferSyntax("Deflated Explicit VR Little Endian", "zlib, numpy", "native"),
    "1.2.840.10008.1.2.2": TransferSyntax("Explicit VR Big Endian", "numpy", "native"),
    "1.2.840.10008.1.2.5": TransferSyntax("RLE Lossless", "imagecodecs packbits", "rle"),
    "1.2.840.10008.1.2.4.50": TransferSyntax("JPEG Baseline", "libjpeg-turbo", "jpeg"),
    "1.2.840.10008.1.2.4.51": TransferSyntax("JPEG Extended", "libjpeg-turbo", "jpeg"),
    "1.2.840.10008.1.2.4.57": TransferSyntax("JPEG Lossless", "libjpeg-turbo", "jpeg_lossless"),
    "1.2.840.10008.1.2.4.70": TransferSyntax("JPEG Lossless SV1", "libjpeg-turbo", "jpeg_lossless"),
    "1.2.840.10008.1.2.4.80": TransferSyntax("JPEG-LS Lossless", "CharLS", "jpeg_ls"),
    "1.2.840.10008.1.2.4.81": TransferSyntax("JPEG-LS Near-lossless", "CharLS", "jpeg_ls"),
    "1.2.840.10008.1.2.4.90": TransferSyntax("JPEG 2000 Lossless", "OpenJPEG", "jpeg_2000"),
    "1.2.840.10008.1.2.4.91": TransferSyntax("JPEG 2000", "OpenJPEG", "jpeg_2000"),
    "1.2.840.10008.1.2.4.201": TransferSyntax("HTJ2K Lossless", "OpenJPEG", "jpeg_2000"),
    "1.2.840.10008.1.2.4.202": TransferSyntax("HTJ2K Lossless RPCL", "OpenJPEG", "jpeg_2000"),
    "1.2.840.10008.1.2.4.203": TransferSyntax("HTJ2K", "OpenJPEG", "jpeg_2000"),
}

_MAYBE_LOSSY = {f"1.2.840.10008.1.2.4.{last}" for last in (50, 51, 81, 91, 203)}


def syntaxes() -> dict[str, tuple[str, str]]:
    """Return every readable transfer syntax as `{uid: (name, decoder)}`."""
    return {uid: (syntax.name, syntax.decoder) for uid, syntax in _SYNTAXES.items()}


def may_be_lossy(uid: str) -> bool:
    """Tell whether the syntax allows loss, so that values may overshoot or be rounded differently by decoders."""
    return uid in _MAYBE_LOSSY


def transfer_syntax(uid: str) -> TransferSyntax:
    """The transfer syntax of this UID; FilmRefused, `unsupported_syntax`, where none is known."""
    if uid not in _SYNTAXES:
        raise FilmRefused("unsupported_syntax", f"transfer syntax {uid[:64]}")
    return _SYNTAXES[uid]
