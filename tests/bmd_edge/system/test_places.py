import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from bmd_edge.errors import UsageError
from bmd_edge.system.patient_key import export_key, patient_key
from bmd_edge.system.places import configuration, engine_cache, phantom_cache

PLACES = [(engine_cache, "CACHE", "tensorrt"), (phantom_cache, "CACHE", "phantom"), (configuration, "CONFIG", "")]


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose account nobody has entered."""

    def unknown(_: int) -> None:
        raise KeyError

    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.parametrize(("place", "kind", "below"), PLACES)
def test_a_folder_is_the_users_own(
    place: Callable[[], Path], kind: str, below: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path))
    assert place() == tmp_path / "bmd-edge" / below
    monkeypatch.delenv(f"XDG_{kind}_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place() == tmp_path / f".{kind.lower()}" / "bmd-edge" / below


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize(("place", "kind", "below"), PLACES)
def test_an_account_without_home_is_told_what_to_set(place: Callable[[], Path], kind: str, below: str) -> None:
    with pytest.raises(UsageError, match=f"no home folder: set XDG_{kind}_HOME to a folder"):
        place()


@pytest.mark.usefixtures("homeless")
def test_an_account_without_home_has_no_key() -> None:
    assert patient_key() is None
    with pytest.raises(UsageError, match="no home folder: set XDG_CONFIG_HOME"):
        export_key(Path("key"))
