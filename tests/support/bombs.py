"""Decompression bombs: small films that ask for gigabytes or minutes. Each must be refused before it costs either.

`bombs()` yields (name, file bytes), made anew each time; `measured()` reads them one by one. Where a bomb's DICOM
header and codestream agree on a size, it is the largest that the header may state (10,000 x 10,000 pixels): what stops
it is not a contradiction.
"""

import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bmd_edge.errors import FilmRefused
from bmd_edge.film.read import read_film
from tests.support import films

SIDE = 10_000
HUGE = {"Rows": SIDE, "Columns": SIDE, "ImagerPixelSpacing": ["0.1", "0.1"]}
_MB = 1 << 20


@dataclass(frozen=True)
class Cost:
    """What reading one bomb gave, whole or reduced: refusal code (None: it was read), seconds, MB beyond its bytes."""

    name: str
    code: str | None
    seconds: float
    megabytes: float


def measured(looks: int = 1) -> Iterator[Cost]:
    """Read every bomb, whole and reduced as in use; of several looks the quickest counts, as other programs run too.

    The memory is the peak of this process (Linux), so one bomb at a time.
    """
    for syntax in (*films.LOSSLESS, *films.LOSSY):  # decoders loaded before, not during
        bits = 8 if syntax == films.JPEG_BASELINE else 12
        read_film(films.dicom_bytes(syntax=syntax, bits=bits))
    for name, data in bombs():
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins at what is held now
        before, times, codes = _status_kb("VmRSS"), [], []
        for coarsest_mm in (0.0, 0.3):
            times.append(min(_seconds(data, coarsest_mm, codes) for _ in range(looks)))
        yield Cost(name, codes[0] if all(codes) else None, max(times), (_status_kb("VmHWM") - before) / 1024)


def _seconds(data: bytes, coarsest_mm: float, codes: list[str | None]) -> float:
    start, code = time.perf_counter(), None
    try:
        read_film(data, coarsest_mm=coarsest_mm)
    except FilmRefused as refused:
        code = refused.code
    codes.append(code)
    return time.perf_counter() - start


def _status_kb(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def bombs() -> Iterator[tuple[str, bytes]]:
    """All of them."""
    for kind in (_deflate, _jpeg_2000, _jpeg, _jpeg_ls, _rle, _structure):
        for name, data in kind():
            yield f"{kind.__name__[1:]}: {name}", data


@cache
def _stream(syntax: str) -> bytes:
    bits = 8 if syntax == films.JPEG_BASELINE else 12
    return films.encoded(films.pixels(bits=bits), syntax, bits)


def _film(syntax: str, stream: bytes, **elements: object) -> bytes:
    bits = 8 if syntax == films.JPEG_BASELINE else 12
    return films.dicom_bytes(films.pixels(bits=bits), syntax, bits, how={"stream": stream}, **elements)


@cache
def _packed_zeros() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(bytes(_MB)) + packer.flush(zlib.Z_FULL_FLUSH)


def deflated(body: bytes, zeros_mb: int, after: bytes = b"") -> bytes:
    """A deflated film whose data set is `body`, then megabytes of zeros, then `after`."""
    plain = films.dicom_bytes(syntax=films.DEFLATED)
    end = plain.index(films.DEFLATED.encode()) + len(films.DEFLATED) + len(films.DEFLATED) % 2
    meta = plain[: 132 + 8] + struct.pack("<L", end - 132 - 12) + plain[132 + 12 : end]
    first = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    head = first.compress(body) + first.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return meta + head + _packed_zeros() * zeros_mb + last.compress(after) + last.flush()


def _long(tag: tuple[int, int], vr: bytes, length: int) -> bytes:
    return struct.pack("<HH2sHL", *tag, vr, 0, length)


def _header(**elements: object) -> bytes:
    """The data set of a plain film up to its pixel data."""
    whole = films.dicom_bytes(**elements)
    start = whole.index(struct.pack("<HH", 0x0008, 0x0016), 132)
    return whole[start : whole.rindex(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW"))]


def _deflate() -> Iterator[tuple[str, bytes]]:
    yield "nothing but zeros", deflated(b"", 1024)
    for megabytes in (20, 60, 100, 1024, 4095):
        yield f"private element of {megabytes} MB", deflated(_long((9, 0x1001), b"OB", megabytes * _MB), megabytes)
    yield "text of 100 MB", deflated(_long((9, 0x1001), b"UT", 100 * _MB), 100)
    element = _long((9, 0x1001), b"OB", _MB)
    yield "a private element of 1 MB after another", deflated((element + bytes(_MB)) * 12, 1024)
    yield "a million elements", deflated(struct.pack("<HH2sH", 9, 0x1001, b"CS", 0) * 1_000_000, 0)
    yield "a million sequences", deflated(struct.pack("<HH2sHL", 9, 0x1001, b"SQ", 0, 0xFFFFFFFF) * 1_000_000, 0)
    pixels = _long((0x7FE0, 0x0010), b"OW", 60 * _MB)
    yield "pixel data of 60 MB of zeros", deflated(_header(Rows=5610, Columns=5606) + pixels, 60)
    yield "pixel data of 2 GB", deflated(_header() + _long((0x7FE0, 0x0010), b"OW", 2048 * _MB), 2048)
    whole = _header() + films.dicom_bytes()[-(2 * 120 * 90 + 12) :]
    yield "1 GB after the pixel data", deflated(whole, 1024)
    yield "element of 1 GB after the pixel data", deflated(whole + _long((0xFFFC, 0xFFFC), b"OB", 1024 * _MB), 1024)


def _siz(stream: bytes, **fields: int) -> bytes:
    """Change fields of the SIZ segment (ITU-T T.800 A.5.1)."""
    places = {"x": 8, "y": 12, "x0": 16, "y0": 20, "tile_x": 24, "tile_y": 28}
    raw = bytearray(stream)
    for name, value in fields.items():
        raw[places[name] : places[name] + 4] = struct.pack(">L", value)
    return bytes(raw)


def _jpeg_2000() -> Iterator[tuple[str, bytes]]:
    for syntax in (films.JPEG_2000_LOSSLESS, films.JPEG_2000, films.HTJ2K_LOSSLESS, films.HTJ2K):
        stream = _stream(syntax)
        short = stream[:400] + b"\xff\xd9"
        large = {"x": SIDE, "y": SIDE}
        yield f"60000 x 60000 in 600 bytes, {syntax}", _film(syntax, _siz(short, x=60_000, y=60_000))
        yield (
            f"the largest image in one tile, {syntax}",
            _film(syntax, _siz(short, **large, tile_x=SIDE, tile_y=SIDE), **HUGE),
        )
        yield (
            f"the largest image in small tiles, {syntax}",
            _film(syntax, _siz(short, **large, tile_x=90, tile_y=120), **HUGE),
        )
        yield f"tiles of one pixel, {syntax}", _film(syntax, _siz(stream, tile_x=1, tile_y=1))
    stream = _stream(films.JPEG_2000_LOSSLESS)
    film = films.JPEG_2000_LOSSLESS
    yield "16384 components", _film(film, stream[:40] + struct.pack(">H", 16384) + stream[42:])
    yield "far offset", _film(film, _siz(stream, x=2**32 - 1, y=2**32 - 1, x0=2**32 - 91, y0=2**32 - 121))
    cod = stream.index(b"\xff\x52")
    yield "32 decompositions", _film(film, stream[: cod + 9] + b"\x20" + stream[cod + 10 :])
    yield "code blocks of 1024 x 1024", _film(film, stream[: cod + 10] + b"\x08\x08" + stream[cod + 12 :])
    end = stream.index(b"\xff\x90")
    comments = (b"\xff\x64\x00\x04\x00\x01" * 170_000)[: 1_000_000 // 6 * 6]
    cut = stream[:end] + comments + b"\xff\xd9"
    yield "170,000 comments", _film(film, cut)
    sized = _siz(stream[:-2], x=SIDE, y=SIDE, tile_x=SIDE, tile_y=SIDE)
    yield "the largest image, and 450 kB of nothing", _film(film, sized + bytes(450_000) + b"\xff\xd9", **HUGE)


def _sized(stream: bytes, rows: int, columns: int) -> bytes:
    """Change the size in the frame header (ITU-T T.81 B.2.2)."""
    place = next(stream.index(bytes([0xFF, m])) for m in (0xC0, 0xC1, 0xC3, 0xF7) if bytes([0xFF, m, 0]) in stream) + 5
    return stream[:place] + struct.pack(">HH", rows, columns) + stream[place + 4 :]


def _jpeg() -> Iterator[tuple[str, bytes]]:
    for syntax in (films.JPEG_BASELINE, films.JPEG_EXTENDED, films.JPEG_LOSSLESS, films.JPEG_LOSSLESS_SV1):
        stream = _stream(syntax)
        yield f"65535 x 65535, {syntax}", _film(syntax, _sized(stream, 65_535, 65_535))
        yield f"no rows stated, {syntax}", _film(syntax, _sized(stream, 0, 90))
        short = stream[:2000] + b"\xff\xd9"
        yield f"the largest image in 2 kB, {syntax}", _film(syntax, _sized(short, SIDE, SIDE), **HUGE)
        padded = _sized(stream[:-2], SIDE, SIDE) + bytes(450_000) + b"\xff\xd9"
        yield f"the largest image, and 450 kB of nothing, {syntax}", _film(syntax, padded, **HUGE)
    stream = _stream(films.JPEG_BASELINE)
    yield "progressive", _film(films.JPEG_BASELINE, stream.replace(b"\xff\xc0", b"\xff\xc2", 1))
    yield "300,000 segments", _film(films.JPEG_BASELINE, stream[:2] + b"\xff\xe1\0\2" * 300_000 + stream[-2:])
    for syntax in (films.JPEG_BASELINE, films.JPEG_LOSSLESS_SV1):
        sound = _stream(syntax)
        yield f"1 MB of fill bytes in a sound stream, {syntax}", _film(syntax, sound[:2] + b"\xff" * _MB + sound[2:])
    yield "16 MB of fill bytes", _film(films.JPEG_BASELINE, stream[:2] + b"\xff" * (16 * _MB) + stream[-2:])


def _jpeg_ls() -> Iterator[tuple[str, bytes]]:
    for syntax in (films.JPEG_LS, films.JPEG_LS_NEAR):
        stream = _stream(syntax)
        yield f"65535 x 65535, {syntax}", _film(syntax, _sized(stream, 65_535, 65_535))
        yield (
            f"the largest image in 2 kB, {syntax}",
            _film(syntax, _sized(stream[:2000] + b"\xff\xd9", SIDE, SIDE), **HUGE),
        )
        padded = _sized(stream[:-2], SIDE, SIDE) + bytes(450_000) + b"\xff\xd9"
        yield f"the largest image, and 450 kB of nothing, {syntax}", _film(syntax, padded, **HUGE)
    stream = _stream(films.JPEG_LS)
    # ITU-T T.87 C.2.4.1.4: LSE of type 4 overrides the size of the frame header
    lse = b"\xff\xf8\x00\x0c\x04\x04" + struct.pack(">LL", 60_000, 60_000)[:8]
    scan = stream.index(b"\xff\xda")
    yield "size in an LSE segment", _film(films.JPEG_LS, _sized(stream[:scan] + lse + stream[scan:], 0, 0))


def rle_of(segment: bytes, count: int = 2) -> bytes:
    """An RLE frame of `count` equal segments (PS3.5 annex G)."""
    offsets = [64 + i * len(segment) for i in range(count)]
    return struct.pack("<16L", count, *offsets, *[0] * (15 - count)) + segment * count


def _rle() -> Iterator[tuple[str, bytes]]:
    run = bytes([129, 7])  # 128 bytes from two
    yield "a hundred times the film", _film(films.RLE, rle_of(run * 10_000))
    yield "15 segments", _film(films.RLE, rle_of(run * 10_000, 15))
    yield "the largest image in 2 kB", _film(films.RLE, rle_of(run * 500), **HUGE)
    yield "half of the largest image", _film(films.RLE, rle_of(run * 110_000), **HUGE)
    yield "16 MB that say nothing", _film(films.RLE, rle_of(b"\x80" * (8 * _MB)))
    same = struct.pack("<16L", 2, 64, 64, *[0] * 13) + run * 1000
    yield "two segments in one place", _film(films.RLE, same)
    yield "offsets beyond the end", _film(films.RLE, struct.pack("<16L", 2, 64, 2**32 - 1, *[0] * 13) + run * 1000)


def _structure() -> Iterator[tuple[str, bytes]]:
    yield "60000 x 60000", films.dicom_bytes(Rows=60_000, Columns=60_000)
    yield "the largest image without pixels", films.dicom_bytes(**HUGE)
    yield "two thousand million frames", films.dicom_bytes(NumberOfFrames="2147483647")
    yield "400,000 elements", films.many_elements(400_000)
    yield "sequences 20,000 deep", films.nested(20_000)
    yield "a million fragments", _film(films.RLE, b"")[:-8] + struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 1_000_000
