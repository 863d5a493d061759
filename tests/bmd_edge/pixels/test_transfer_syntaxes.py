"""Which transfer syntaxes are read, and by whom."""

import pytest

from bmd_edge.errors import FilmRefused
from bmd_edge.pixels.decode import decode
from bmd_edge.pixels.transfer_syntaxes import syntaxes
from tests.bmd_edge.pixels.codestreams import COMPRESSED, layout
from tests.support import films


def test_syntaxes_lists_every_readable_syntax():
    assert set(syntaxes()) == {*films.NATIVE, *COMPRESSED}
    assert all(name and decoder for name, decoder in syntaxes().values())


def test_unknown_syntax_is_named():
    with pytest.raises(FilmRefused, match=r"unsupported_syntax.*1\.2\.3"):
        decode("1.2.3", b"", layout(films.pixels(), 12))
