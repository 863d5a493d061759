"""Whether the scan of a lossless JPEG holds as many bits as the frame that was decoded from it needs.

libjpeg-turbo fills a scan that ends early with zeros, passes over what is too much, and says nothing. The frame tells:
from its samples follow the differences, from these the codes (ITU-T T.81 H.1.2), and their lengths add up to what the
scan must hold. A frame that was completed with zeros always needs more than there is, if only by the rest of the code
that was cut; a scan with a damaged code seldom comes out even. Films of several makers come out even to the byte.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STRIP = 64  # rows; what is at work stays in the cache
_DHT, _SOS, _DRI, _SOF3 = 0xC4, 0xDA, 0xDD, 0xC3


@dataclass(frozen=True, slots=True)
class Scan:
    """The one scan of a frame of one component, predicted from the left, without restarts.

    `code_bits` (17,) is the length of the code of each category of differences, 0 where there is none; `held` is how
    many bytes of code the scan holds, the last `padding` of them zeros.
    """

    bits: int
    code_bits: NDArray[np.int64]
    held: int
    padding: int


def read_scan(data: bytes) -> Scan | None:
    """Find the scan of a codestream that is known to have a sound header; None for any other kind of scan."""
    tables: dict[int, NDArray[np.int64]] = {}
    pos, bits = 2, 0
    while True:
        while data[pos : pos + 2] == b"\xff\xff":
            pos += 1
        marker, length = data[pos + 1], int.from_bytes(data[pos + 2 : pos + 4], "big")
        body = data[pos + 4 : pos + 2 + length]
        pos += 2 + length
        if marker == _DRI and any(body):
            return None
        if marker == _SOF3:
            bits = body[0]
        elif marker == _DHT and not _add_tables(tables, body):
            return None
        elif marker == _SOS:
            break
    # One component; predictor 1, no point transform (T.81 B.2.3, table H.1)
    if len(body) != 6 or body[0] != 1 or body[3] != 1 or body[5] & 0x0F or body[2] >> 4 not in tables:
        return None
    code = np.frombuffer(data, np.uint8)[pos : data.rfind(b"\xff\xd9") + 1]
    escapes = code[1:][code[:-1] == 0xFF]  # T.81 B.1.1.5: a zero after each FF of the code; else it is a marker
    if escapes.any():
        return None
    padding = len(code) - 1 - len(code[:-1].tobytes().rstrip(b"\0"))
    padding -= padding > 0 and code[-2 - padding] == 0xFF  # the first of these zeros belongs to it
    return Scan(bits, tables[body[2] >> 4], len(code) - 1 - len(escapes), int(padding))


def _add_tables(tables: dict[int, NDArray[np.int64]], body: bytes) -> bool:
    """Read a DHT segment (T.81 B.2.4.2); False if it is not sound."""
    while body:
        counts = body[1:17]
        values = body[17 : 17 + sum(counts)]
        if len(counts) != 16 or len(values) != sum(counts) or any(value > 16 for value in values):
            return False
        lengths = np.zeros(17, np.int64)
        lengths[list(values)] = np.repeat(np.arange(1, 17), list(counts))
        tables[body[0] & 0x0F] = lengths
        body = body[17 + len(values) :]
    return True


def is_complete(scan: Scan, frame: NDArray[np.integer[Any]]) -> bool:
    """Tell whether the scan holds just the bits that `frame` (rows, columns) needs."""
    # Bits of a difference (modulo 2^16): its code and, but for category 16, as many bits as the category says
    signed = np.arange(1 << 16).astype(np.uint16).view(np.int16).astype(np.int64)
    category = np.frexp(np.abs(signed).astype(np.float64))[1]
    if not scan.code_bits[category[0]] and (frame[-1] == frame[-1, 0]).all():
        return False  # a row without differences, which this table cannot code
    cost = (scan.code_bits[category] + category % 16).astype(np.uint8)
    samples = frame.astype(np.uint16, copy=False)
    first = np.diff(samples[:, 0], prepend=np.uint16(1 << (scan.bits - 1)))
    needed = int(cost[first].sum(dtype=np.int64))
    costs = np.empty((_STRIP, samples.shape[1] - 1), np.uint8)
    for start in range(0, len(samples), _STRIP):
        rows = samples[start : start + _STRIP]
        cost.take(rows[:, 1:] - rows[:, :-1], out=costs[: len(rows)], mode="clip")  # no index is outside
        needed += int(costs[: len(rows)].sum(dtype=np.int64))
    return scan.held - scan.padding <= -(-needed // 8) <= scan.held
