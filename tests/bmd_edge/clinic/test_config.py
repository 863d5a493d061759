"""clinic.toml: what is wrong in it is told with its line."""

import os
from pathlib import Path

import pytest

from bmd_edge.clinic.config import read_config, read_own_config
from bmd_edge.errors import UsageError

TEXT = """box = { root = "/var/lib/bmd-edge", ae_title = "BMDEDGE", min_free_mb = 5000 }
door = { dicom = "127.0.0.1:4242", dicom_tls = "10.20.0.5:2762", stow_tls = "10.20.0.5:8443", folder = "" }
units.xray1 = { ae_title = "XRAY1", host = "10.20.0.11", spacing_if_missing_mm = 0.143 }
units.xray2 = { ae_title = "XRAY2", host = "xray2.clinic" }
pacs.main = { kind = "dicom", ae_title = "PACS", host = "10.30.0.2", port = 11112, commit = true, objects = ["sr"] }
pacs.web = { kind = "stow", url = "https://pacs.clinic/dicom-web" }
page = { bind = "127.0.0.1:8080", names = true }
approval = "2026-17"
"""


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "clinic.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, TEXT))
    assert (config.root, config.approval, config.box.min_free_mb) == (Path("/var/lib/bmd-edge"), "2026-17", 5000)
    assert (config.page.bind, config.page.names) == ("127.0.0.1:8080", True)
    assert config.units["xray1"].spacing_if_missing_mm == 0.143
    assert (config.pacs["main"].objects, config.pacs["web"].objects) == (("sr",), ("sr", "sc"))
    found = config.unit_of(" xray1 ")
    assert found is not None
    assert found[0] == "xray1"
    assert config.unit_of("STRANGER") is None
    assert read_config(written(tmp_path, TEXT + "\n")).digest != config.digest


def test_people_are_spoken_to_in_the_files_language_or_in_that_of_the_locale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "es_ES.UTF-8")
    assert read_config(written(tmp_path, TEXT)).spoken.code == "es"
    assert read_config(written(tmp_path, f'{TEXT}language = "ja"')).spoken.code == "ja"
    monkeypatch.setenv("LC_ALL", "C")
    assert read_config(written(tmp_path, TEXT)).spoken.code == "en"


@pytest.mark.parametrize(
    ("url", "more", "approval", "delivers"),
    [("https://pacs.clinic/x", "", "", False), ("https://pacs.clinic/x", "", "2026-17", True),
     ("http://127.0.0.1:8042/x", "", "", False), ("http://127.0.0.1:8042/x", "", "2026-17", True),
     ("http://127.0.0.1:8042/x", ", test = true", "", True), ("https://[::1]/x", ", test = true", "", True)],
)  # fmt: skip
def test_without_an_approval_nothing_is_delivered_but_to_an_archive_for_tests(
    tmp_path: Path, url: str, more: str, approval: str, delivers: bool
) -> None:
    """Behind an address of this machine a tunnel may begin that ends at a clinic's archive."""
    pacs = f'pacs.web = {{ kind = "stow", url = "{url}"{more} }}'
    text = f'box = {{ root = "/r" }}\n{pacs}\napproval = "{approval}"\n'
    assert read_config(written(tmp_path, text)).delivers_to("web") is delivers


@pytest.mark.parametrize(
    "url",
    [
        "https://", "https:///x", "https://:443/x", "https://pacs:99999/x", "https://pacs:port/x", "https://[x/y",
        "https://[1:2]/x", "https://pacs..clinic/x", f"https://{'p' * 64}/x", "https://pa cs/x", "https://pacs/a b",
        "https://pacs/ü", "https://user:s3cret@pacs/x", "https://127.0.0.1@pacs/x", "https://pacs/x?key=s3cret",
        "https://pacs/x#s3cret", "ftp://pacs/x",
    ],
)  # fmt: skip
def test_a_url_holds_nothing_that_would_not_be_sent(tmp_path: Path, url: str) -> None:
    """A password that nobody sends would be a record that refuses the box, and nobody knows why."""
    for kind in ("stow", "fhir"):
        text = f'box = {{ root = "/r" }}\npacs.web = {{ kind = "{kind}", url = "{url}", test = true }}\n'
        with pytest.raises(UsageError, match=r"line 2: pacs.web.url: must be the address") as caught:
            read_config(written(tmp_path, text))
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://pacs", "https://pacs.clinic:8443/a-b/%7Ec/", "https://[fd00::1]:8443/x"])
def test_a_url_is_a_host_a_port_and_a_path(tmp_path: Path, url: str) -> None:
    text = f'box = {{ root = "/r" }}\npacs.web = {{ kind = "fhir", url = "{url}" }}\n'
    assert read_config(written(tmp_path, text)).pacs["web"].url == url


@pytest.mark.parametrize("host", ["pacs.clinic", "127.0.0.1.example", "10.30.0.2"])
def test_an_archive_for_tests_is_on_this_machine(tmp_path: Path, host: str) -> None:
    text = f'box = {{ root = "/r" }}\npacs.web = {{ kind = "stow", url = "https://{host}/x", test = true }}\n'
    with pytest.raises(UsageError, match=r"line 2: pacs.web.test: is for an archive on this machine only"):
        read_config(written(tmp_path, text))


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("commit", "comit", 5, "pacs.main.comit: unknown (did you mean commit?); known here: kind"),
        ("approval =", "aproval =", 8, "aproval: unknown"),
        ('"2026-17"', f'"{"9" * 65}"', 8, "approval: must be 1 to 64 letters"),
        ('"2026-17"', '" "', 8, "approval: must be"),
        ('"2026-17"', '"Votum für 17"', 8, "approval: must be"),
        ('"2026-17"', '"2026\\n17"', 8, "approval: must be"),
        ('"127.0.0.1:8080"', '"10.20.0.5:8080"', 7, "page.bind: must be of this machine alone"),
        ('"127.0.0.1:8080"', '"0.0.0.0:8080"', 7, "page.bind: must be of this machine alone"),
        ('"127.0.0.1:8080"', '"8080"', 7, 'page.bind: must be "address:port"'),
        ("names = true", 'names = "yes"', 7, "page.names: must be true or false"),
        ('approval = "2026-17"', 'language = "fr"', 8, "language: 'fr' is not one of en, de, es, ja"),
        ("min_free_mb = 5000", "min_free_mb = 0", 1, "box.min_free_mb: must be 1 or more"),
        ("min_free_mb = 5000", 'min_free_mb = "30"', 1, "box.min_free_mb: must be a whole number"),
        ("min_free_mb = 5000", "min_free_mb = true", 1, "box.min_free_mb: must be a whole number"),
        ("= 0.143", '= "0.143"', 3, "units.xray1.spacing_if_missing_mm: must be a number"),
        ("= 0.143", "= 143.0", 3, "must be a pixel size in mm"),
        ('root = "/var/lib', 'root = "var/lib', 1, "box.root: must be the whole path"),
        ('"127.0.0.1:4242"', '"10.20.0.5:4242"', 2, "door.dicom: is open to the network without TLS"),
        ('"127.0.0.1:4242"', '"localhost"', 2, 'door.dicom: must be "address:port"'),
        ('"127.0.0.1:4242"', '"127.0.0.1:99999"', 2, 'door.dicom: must be "address:port"'),
        ('"XRAY2"', '"xray1"', 4, "units.xray2.ae_title: is that of xray1 too"),
        ('"XRAY2"', '"AN AE TITLE TOO LONG"', 4, "must be an AE title"),
        ('"XRAY2"', '"A\\\\B"', 4, "must be an AE title"),
        ('"xray2.clinic"', '"x y"', 4, "units.xray2.host: must be a host"),
        ('"xray2.clinic"', '"xray2..clinic"', 4, "units.xray2.host: must be a host"),
        ("units.xray2", "units.folder", 4, "is the name of the watched folder"),
        (', host = "xray2.clinic"', "", 4, "units.xray2.host: is missing"),
        ('ae_title = "XRAY1", ', "", 3, "units.xray1.ae_title: is missing"),
        ('objects = ["sr"]', 'objects = ["sr", "ecg"]', 5, "pacs.main.objects: 'ecg' is not one of sr, sc, gsps, pdf"),
        ('objects = ["sr"]', 'objects = "sr"', 5, "pacs.main.objects: must be a list of texts"),
        ('kind = "stow"', 'kind = "email"', 6, "pacs.web.kind: 'email' is not one of dicom, stow, fhir"),
        ("https://pacs", "http://pacs", 6, "pacs.web.url: must be https"),
        ('"https://pacs.clinic/dicom-web"', '"pacs"', 6, "pacs.web.url: must be the address"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, old: str, new: str, line: int, what: str) -> None:
    assert TEXT.count(old) == 1
    with pytest.raises(UsageError) as caught:
        read_config(written(tmp_path, TEXT.replace(old, new)))
    said = str(caught.value)
    assert said.startswith(f"clinic.toml line {line}: ")
    assert what in said


def test_a_file_for_everybody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="chmod o="):
        read_config(written(tmp_path, TEXT, 0o644))


def test_a_file_that_is_not_there_is_named_with_the_remedy(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none.toml", "none.toml: No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(
            UsageError, match=rf"{said}.*: name the clinic\.toml that `bmd-edge clinic init` has written"
        ):
            read_config(path)
    other = written(tmp_path, TEXT, 0o644).rename(tmp_path / "other.toml")
    with pytest.raises(UsageError, match=r"^other\.toml can be read by everybody: chmod o= other\.toml$"):
        read_config(other)


def test_a_box_is_used_by_its_owner_alone(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT.replace("/var/lib/bmd-edge", str(tmp_path / "root")))
    root = read_own_config(path).root  # before it is made
    root.mkdir()
    assert read_own_config(path).root == root
    if os.geteuid():
        pytest.skip("only root may give a folder away")
    os.chown(root, 12345, 12345)
    with pytest.raises(UsageError, match="user 12345's: run this as that user"):
        read_own_config(path)


def test_a_network_door_needs_named_units(tmp_path: Path) -> None:
    text = 'box = { root = "/r" }\ndoor = { stow_tls = "10.0.0.1:8443" }\n'
    with pytest.raises(UsageError, match="no unit is named"):
        read_config(written(tmp_path, text))


@pytest.mark.parametrize("text", ["box = {", "box = 1", "", b"\xff".decode("latin-1")])
def test_what_is_no_such_file_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"clinic\.toml"):
        read_config(written(tmp_path, text))


def test_kinds_are_made_where_somebody_asks_for_them(tmp_path: Path) -> None:
    text = 'box = { root = "/r" }\npacs.main = { kind = "dicom", ae_title = "P", host = "p", objects = ["sr"] }\n'
    assert read_config(written(tmp_path, text)).kinds == ("sr", "sc")
    more = 'pacs.web = { kind = "stow", url = "https://p/x", objects = ["pdf", "sc", "gsps"] }\n'
    assert read_config(written(tmp_path, text + more)).kinds == ("sr", "sc", "gsps", "pdf")
    record = 'pacs.ehr = { kind = "fhir", url = "https://ehr/fhir" }\n'
    config = read_config(written(tmp_path, text + record))
    assert (config.kinds, config.pacs["ehr"].kinds) == (("sr", "sc", "fhir"), ("fhir",))


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (', objects = ["sr"]', "pacs.ehr.objects: is for archives"),
        (", commit = true", "pacs.ehr.commit: is for kind dicom only"),
    ],
)
def test_a_record_has_no_settings_of_an_archive(tmp_path: Path, more: str, what: str) -> None:
    text = f'box = {{ root = "/r" }}\npacs.ehr = {{ kind = "fhir", url = "https://ehr/fhir"{more} }}\n'
    with pytest.raises(UsageError, match=what):
        read_config(written(tmp_path, text))
