"""What every test needs."""

import pytest

from bmd_edge.screen import folder_plan


@pytest.fixture(autouse=True)
def _no_wait_for_young_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Films of tests have just been written; nobody is still copying them."""
    monkeypatch.setattr(folder_plan, "SETTLE_S", 0.0)
