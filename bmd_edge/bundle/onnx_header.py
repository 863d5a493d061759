"""What an ONNX file says of itself - inputs, outputs, metadata - read from its bytes before any ONNX parser sees it.

ONNX is a protocol buffer (onnx/onnx.proto): fields of (number, wire type, payload), lengths in front. This reader steps
over the weights, and refuses what a bundle's networks never hold: data outside the file, functions and operators of
their own, training graphs, messages that do not end where they say.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bmd_edge.bundle.manifest import TensorSpec
from bmd_edge.errors import BundleError

Fields = dict[int, list[bytes | int]]

_FLOAT = 1  # TensorProto.DataType
_MAX_DEPTH = 8  # graphs inside attributes of nodes of graphs
_STANDARD_DOMAINS = (b"", b"ai.onnx")


@dataclass(frozen=True, slots=True)
class OnnxHead:
    """Inputs and outputs by name, and the file's `metadata_props`."""

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    metadata: dict[str, str]


def read_head(raw: bytes, name: str) -> OnnxHead:
    """Read the head of an ONNX file.

    Args:
        raw: the file's bytes.
        name: what errors call it.

    Raises:
        BundleError: it is no ONNX file, or holds something that no network of a bundle holds.
    """
    try:
        model = _fields(raw)
        graphs = _messages(model, 7)
        if len(graphs) != 1:  # a parser would merge them
            raise BundleError(f"{name} holds {len(graphs)} graphs, not one")
        for number, what in ((20, "a training graph"), (25, "functions of its own")):
            if number in model:
                raise BundleError(f"{name} holds {what}")
        if any(domain not in _STANDARD_DOMAINS for entry in _messages(model, 8) for domain in _messages(entry, 1)):
            raise BundleError(f"{name} uses operators that ONNX does not define")
        graph = _fields(graphs[0])
        for problem in _problems(graph, 0):
            raise BundleError(f"{name} {problem}")
        pairs = [(_text(entry, 1), _text(entry, 2)) for entry in _messages(model, 14)]
        inputs, outputs = ([_value(entry) for entry in _messages(graph, number)] for number in (11, 12))
    except (ValueError, IndexError, OverflowError) as error:  # UnicodeDecodeError is a ValueError
        raise BundleError(f"{name} is no ONNX file: {error}") from error
    for found in (pairs, inputs, outputs):
        if len(dict(found)) != len(found):
            raise BundleError(f"{name} names an input, an output or a fact twice")
    return OnnxHead(dict(inputs), dict(outputs), dict(pairs))


def _problems(graph: Fields, depth: int) -> Iterator[str]:
    """What must not be in a graph or in the graphs of its nodes' attributes."""
    if depth > _MAX_DEPTH:
        yield "holds graphs in graphs without end"
        return
    if 15 in graph:
        yield "holds sparse weights"
    for tensor in _messages(graph, 5):
        yield from _outside(tensor)
    for node in map(_fields, _messages(graph, 1)):
        if any(domain not in _STANDARD_DOMAINS for domain in node.get(7, [])):
            yield "uses operators that ONNX does not define"
        for attribute in map(_fields, _messages(node, 5)):
            if 22 in attribute or 23 in attribute:
                yield "holds sparse weights"
            for tensor in (*_messages(attribute, 5), *_messages(attribute, 10)):
                yield from _outside(tensor)
            for inner in (*_messages(attribute, 6), *_messages(attribute, 11)):
                yield from _problems(_fields(inner), depth + 1)


def _outside(tensor: bytes) -> Iterator[str]:
    fields = _fields(tensor)
    if 13 in fields or any(place != 0 for place in fields.get(14, [])):  # external_data, data_location
        yield "refers to data outside the file"


def _value(entry: bytes) -> tuple[str, TensorSpec]:
    """A ValueInfoProto; a size that is a name, or unknown, is None."""
    (kind,) = _messages(entry, 2)
    (tensor,) = _messages(kind, 1)
    fields = _fields(tensor)
    (shape,) = _messages(fields, 2)
    sizes = [_fields(size).get(1, [None]) for size in _messages(shape, 1)]
    element = fields.get(1, [0])[-1]
    dtype = "float32" if element == _FLOAT else f"ONNX type {element!r}"
    return _text(entry, 1), TensorSpec(tuple(size[-1] if isinstance(size[-1], int) else None for size in sizes), dtype)


def _messages(message: bytes | Fields, number: int) -> list[bytes]:
    """Every payload of a field, all of them with a length in front."""
    fields = _fields(message) if isinstance(message, bytes) else message
    payloads = fields.get(number, [])
    if found := [payload for payload in payloads if not isinstance(payload, bytes)]:
        raise ValueError(f"field {number} holds the number {found[0]}")
    return [payload for payload in payloads if isinstance(payload, bytes)]


def _text(message: bytes, number: int) -> str:
    return (_messages(message, number) or [b""])[-1].decode("utf-8")


def _fields(message: bytes) -> Fields:
    """Field number -> payloads: bytes, or an integer for a varint; fixed-size numbers are stepped over as bytes."""
    fields: Fields = {}
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        payload: bytes | int
        if wire == 0:
            payload, at = _varint(message, at)
        else:
            if wire == 2:
                size, at = _varint(message, at)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
            else:
                raise ValueError(f"wire type {wire} at byte {at}")
            payload, at = message[at : at + size], at + size
        if number == 0 or at > len(message):
            raise ValueError(f"a field of number {number} ends outside its message")
        fields.setdefault(number, []).append(payload)
    return fields


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift >= 70:
            raise ValueError(f"a number of more than ten bytes at byte {at}")
