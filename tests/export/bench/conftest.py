"""Small films."""

import pytest

from export.bench import films


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films, "PIXELS", 200_000)
