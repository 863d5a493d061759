"""Films through the tools that hospitals use: every transfer syntax that is read, written and read by others.

DCMTK (Debian: dcmtk), GDCM's gdcmconv (Debian: libgdcm-tools), pydicom with its plug-ins (python-gdcm, pylibjpeg). What
is not installed is skipped, and named.
"""

import shutil
import subprocess
import warnings
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.pixels import get_decoder, get_encoder

from bmd_edge.film.film import Film
from bmd_edge.film.read import read_film
from bmd_edge.pixels.transfer_syntaxes import syntaxes
from tests.support import films

ODD = (121, 91)  # an odd number of pixels: frames of odd length, which each tool pads in its own way
DEPTHS = (8, 10, 12, 16)
FRAMES = {bits: films.pixels(*ODD, bits) for bits in DEPTHS}
SIGNED = films.pixels(*ODD, 16, signed=True)
KINDS = [*((bits, FRAMES[bits]) for bits in DEPTHS), (16, SIGNED)]
PIXELS = ("stored", "lookup", "lookup_first", "black", "white", "pixel_digest", "reduced")
TOLD = [
    one.name for one in fields(Film) if one.init and one.name not in (*PIXELS, "film_id", "sop_instance_uid", "flags")
]

# Of each tool: what it writes, with which command, and for which depths
LOSSLESS: dict[str, tuple[str, str, tuple[int, ...]]] = {
    "dcmtk implicit": (films.IMPLICIT, "dcmconv +ti", DEPTHS),
    "dcmtk explicit": (films.EXPLICIT, "dcmconv +te", DEPTHS),
    "dcmtk big endian": (films.BIG_ENDIAN, "dcmconv +tb", DEPTHS),
    "dcmtk deflated": (films.DEFLATED, "dcmconv +td", DEPTHS),
    "dcmtk rle": (films.RLE, "dcmcrle", DEPTHS),
    "dcmtk lossless sv1": (films.JPEG_LOSSLESS_SV1, "dcmcjpeg +e1", DEPTHS),
    "dcmtk lossless 4": (films.JPEG_LOSSLESS, "dcmcjpeg +el +sv 4", DEPTHS),
    "dcmtk lossless 6": (films.JPEG_LOSSLESS, "dcmcjpeg +el +sv 6", DEPTHS),
    "dcmtk lossless 7": (films.JPEG_LOSSLESS, "dcmcjpeg +el +sv 7", DEPTHS),
    "dcmtk jpeg-ls": (films.JPEG_LS, "dcmcjpls +el", DEPTHS),
    "dcmtk jpeg-ls cooked": (films.JPEG_LS, "dcmcjpls +el +pc", DEPTHS),
    "dcmtk jpeg-ls zero padded": (films.JPEG_LS, "dcmcjpls +el +pz", DEPTHS),
    "gdcm implicit": (films.IMPLICIT, "gdcmconv --implicit", DEPTHS),
    "gdcm explicit": (films.EXPLICIT, "gdcmconv --explicit", DEPTHS),
    "gdcm deflated": (films.DEFLATED, "gdcmconv --deflated", DEPTHS),
    "gdcm rle": (films.RLE, "gdcmconv --rle", (10, 12, 16)),  # it ends itself over an odd frame of 8 bits
    "gdcm lossless": (films.JPEG_LOSSLESS_SV1, "gdcmconv --jpeg", DEPTHS),
    "gdcm jpeg-ls": (films.JPEG_LS, "gdcmconv --jpegls", DEPTHS),
    "gdcm jpeg 2000": (films.JPEG_2000_LOSSLESS, "gdcmconv --j2k", DEPTHS),
    "gdcm jpeg 2000 tiled": (films.JPEG_2000_LOSSLESS, "gdcmconv --j2k --tile 64,64", DEPTHS),
}
ALSO = {"gdcm deflated": ("trailing_data",)}
"""True flags of what a tool has written: GDCM lets the check sums of gzip follow what it deflates."""
LOSSY = {
    "dcmtk baseline": (films.JPEG_BASELINE, "dcmcjpeg +eb +q 95", DEPTHS),
    "dcmtk extended": (films.JPEG_EXTENDED, "dcmcjpeg +ee +q 95", DEPTHS),
    "dcmtk point transform": (films.JPEG_LOSSLESS_SV1, "dcmcjpeg +e1 +pt 2", (10, 12, 16)),
    "dcmtk near-lossless": (films.JPEG_LS_NEAR, "dcmcjpls +en +md 2", DEPTHS),
    "gdcm baseline": (films.JPEG_BASELINE, "gdcmconv --jpeg --lossy -q 95", (8,)),
    "gdcm near-lossless": (films.JPEG_LS_NEAR, "gdcmconv --jpegls --lossy -e 2", DEPTHS),
    "gdcm jpeg 2000": (films.JPEG_2000, "gdcmconv --j2k --lossy -r 3", DEPTHS),
}


def needed(tool: str) -> str:
    """The path of a tool; skips without it."""
    found = shutil.which(tool)
    if found is None:
        package = "libgdcm-tools" if tool.startswith("gdcm") else "dcmtk"
        pytest.skip(f"NO {tool}: what it writes is not tested; apt-get install {package}")
    return found


def converted(data: bytes, folder: Path, command: str) -> bytes:
    """A film as a tool has written it again."""
    tool, *options = command.split()
    (folder / "in.dcm").write_bytes(data)
    whole = [needed(tool), *options, folder / "in.dcm", folder / "out.dcm"]
    done = subprocess.run(whole, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "out.dcm").read_bytes()


def read_as(data: bytes, syntax: str) -> Film:
    """The film; it must be in the transfer syntax that is meant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert pydicom.dcmread(BytesIO(data), stop_before_pixels=True).file_meta.TransferSyntaxUID == syntax
    return read_film(data)


def told(film: Film) -> dict[str, Any]:
    """What is said of a film, but its name, flags and pixels."""
    return {name: getattr(film, name) for name in TOLD}


def check_same(film: Film, original: Film, *more_flags: str) -> None:
    np.testing.assert_array_equal(film.stored, original.stored)
    np.testing.assert_array_equal(films.bright(film), films.bright(original))
    assert (film.flags, film.pixel_digest) == ((*original.flags, *more_flags), original.pixel_digest)
    assert told(film) == told(original)


@pytest.mark.parametrize("writer", LOSSLESS)
def test_what_a_tool_writes_without_loss_is_the_same_film(writer: str, tmp_path: Path) -> None:
    syntax, command, depths = LOSSLESS[writer]
    for bits, frame in KINDS if depths == DEPTHS else KINDS[1:]:
        data = films.dicom_bytes(frame, bits=bits)
        check_same(read_as(converted(data, tmp_path, command), syntax), read_film(data), *ALSO.get(writer, ()))


@pytest.mark.parametrize("writer", LOSSY)
def test_what_a_tool_writes_with_loss_is_close_and_flagged(writer: str, tmp_path: Path) -> None:
    """By what is shown: DCMTK also moves the stored values."""
    syntax, command, depths = LOSSY[writer]
    for bits in depths:
        data = films.dicom_bytes(FRAMES[bits], bits=bits)
        film, original = read_as(converted(data, tmp_path, command), syntax), read_film(data)
        apart = np.abs(films.bright(film) - films.bright(original))
        assert 0 < apart.mean() < 0.015, bits
        assert apart.max() < 0.1, bits
        assert "lossy_compression" in film.flags
        assert set(film.flags) <= {"lossy_compression", "secondary_image"}  # GDCM writes DERIVED\\SECONDARY
        assert told(film) == told(original)


READERS = {
    "dcmdjpeg": (films.JPEG_LOSSLESS, films.JPEG_LOSSLESS_SV1, films.JPEG_BASELINE, films.JPEG_EXTENDED),
    "dcmdjpls": (films.JPEG_LS, films.JPEG_LS_NEAR),
    "dcmdrle": (films.RLE,),
    "dcmconv +te": films.NATIVE,
    "gdcmconv --raw": (
        films.RLE,
        films.JPEG_LOSSLESS,
        films.JPEG_LOSSLESS_SV1,
        films.JPEG_LS,
        films.JPEG_2000_LOSSLESS,
    ),
}


def depths_of(syntax: str) -> tuple[int, ...]:
    return {films.JPEG_BASELINE: (8,), films.JPEG_EXTENDED: (12,)}.get(syntax, DEPTHS)


@pytest.mark.parametrize("reader", READERS)
def test_a_film_is_the_same_when_a_tool_has_unpacked_it(reader: str, tmp_path: Path) -> None:
    for syntax in READERS[reader]:
        for bits in depths_of(syntax):
            data = films.dicom_bytes(FRAMES[bits], syntax, bits)
            film, unpacked = read_film(data), read_as(converted(data, tmp_path, reader), films.EXPLICIT)
            if syntax in films.LOSSY:
                assert np.abs(unpacked.stored.astype(int) - film.stored).max() <= 1
            else:
                check_same(unpacked, film)


def plug_ins(coder: Any) -> list[str]:
    return sorted(coder.available_plugins) if coder.is_available else []


PYDICOM_WRITES = (films.RLE, films.JPEG_LS, films.JPEG_2000_LOSSLESS, films.DEFLATED)


@pytest.mark.parametrize("syntax", PYDICOM_WRITES, ids=[syntaxes()[uid][0] for uid in PYDICOM_WRITES])
def test_what_pydicom_compresses_is_the_same_film(syntax: str) -> None:
    # GDCM's encoders end the process on some of these frames; what it writes is tested above, by its own program
    names = [name for name in plug_ins(get_encoder(syntax)) if name != "gdcm"] if syntax != films.DEFLATED else ["zlib"]
    if not names:
        pytest.skip(f"NO PLUG-IN OF PYDICOM for {syntaxes()[syntax][0]}: what it writes is not tested; see pyjpegls")
    for name in names:
        for bits, frame in KINDS:
            data = films.dicom_bytes(frame, bits=bits)
            made = pydicom.dcmread(BytesIO(data))
            if syntax == films.DEFLATED:
                made.file_meta.TransferSyntaxUID = syntax
            else:
                made.compress(syntax, encoding_plugin=name, generate_instance_uid=False)
            file = BytesIO()
            made.save_as(file)
            check_same(read_as(file.getvalue(), syntax), read_film(data))


def unpacked(data: bytes, plug_in: str) -> NDArray[Any]:
    made = pydicom.dcmread(BytesIO(data))
    made.pixel_array_options(decoding_plugin=plug_in)
    return made.pixel_array


PYDICOM_READS = [uid for uid in syntaxes() if uid not in (*films.NATIVE, films.JPEG_EXTENDED)]  # which DCMTK alone does


@pytest.mark.parametrize("syntax", PYDICOM_READS, ids=[syntaxes()[uid][0] for uid in PYDICOM_READS])
def test_pydicom_and_its_plug_ins_decode_the_same_pixels(syntax: str) -> None:
    names = plug_ins(get_decoder(syntax))
    if not names:
        pytest.skip(f"NO PLUG-IN OF PYDICOM for {syntaxes()[syntax][0]}: it is compared with no other decoder")
    for name in names:
        for bits in depths_of(syntax):
            data = films.dicom_bytes(FRAMES[bits], syntax, bits)
            apart = np.abs(unpacked(data, name).astype(int) - read_film(data).stored)
            assert apart.max() <= (1 if syntax in films.LOSSY else 0), (name, bits)
