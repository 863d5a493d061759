"""Pages: what stands between markers is what was measured, links lead somewhere, what is named exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bmd_edge.cli.workshops import WORKSHOPS
from export.readme import pages, rooms

ROOT = Path(__file__).parents[3]
ALL = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "*/README.md", "bmd_edge/clinic/*.md")
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md" and not path.parent.name.startswith(".")
)
CONTRACTS = [one for package in ("bmd_edge", "calibration", "export", "trainer") for one in rooms.rooms(package)]


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def prose(page: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text(page), flags=re.MULTILINE | re.DOTALL)


def test_the_pages_are_all_there() -> None:
    packages = {f"{package}/README.md" for package in ("bmd_edge", "calibration", "export", "trainer")}
    assert packages | {"README.md", "CONTRIBUTING.md", "SECURITY.md", "findings/README.md"} <= set(ALL)


@pytest.mark.parametrize(
    ("page", "marker"), [(page, one) for page, markers in pages.PAGES.items() for one in markers if one != "demo"]
)
def test_what_stands_between_markers_is_what_was_measured(page: str, marker: str) -> None:
    assert pages.replaced(text(page), marker, pages.PAGES[page][marker]()) == text(page)


@pytest.mark.parametrize("page", pages.PAGES)
def test_figures_say_beside_them_that_they_are_synthetic(page: str) -> None:
    others = ("demo", "map", "speed")  # no film, or said above and below; speed is that of random weights
    for marker, made in pages.PAGES[page].items():
        assert marker in others or "synthetic" in made().lower(), marker


def test_every_marker_is_filled_by_somebody() -> None:
    found = {page: re.findall(r"^<!-- (\w+) -->$", text(page), re.MULTILINE) for page in ALL}
    assert {page: sorted(names) for page, names in found.items() if names} == {
        page: sorted(markers) for page, markers in pages.PAGES.items()
    }


def test_the_demo_prints_what_the_page_shows() -> None:
    """Words and layout to the letter; numbers within what another CPU rounds."""
    shown = text("README.md").split("<!-- demo -->\n")[1].split("\n<!-- /demo -->")[0]
    printed = pages.demo_output()
    number = re.compile(r"[+-]?\d+\.\d+")
    assert number.sub("#", printed) == number.sub("#", shown)
    assert [float(one) for one in number.findall(printed)] == pytest.approx(
        [float(one) for one in number.findall(shown)], abs=0.1001
    )


def test_the_first_page_is_short() -> None:
    assert len(text("README.md").encode()) <= 10_000


def test_every_row_of_the_first_pages_table_says_that_it_is_synthetic() -> None:
    table = text("README.md").split("<!-- figures -->\n")[1].split("\n<!-- /figures -->")[0]
    rows = table.splitlines()[2:]
    assert len(rows) >= 8
    assert all("synthetic" in row for row in rows)
    assert "whole films" in rows[0]


@pytest.mark.parametrize("package", ["bmd_edge", "calibration", "export", "trainer"])
def test_every_folder_of_code_is_a_room_of_the_map(package: str) -> None:
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / package).rglob("*.py")} - {Path(package)}
    assert {one.as_posix().replace("/", ".") for one in folders} == set(rooms.rooms(package))
    last = [line for line in text(f"{package}/README.md").splitlines() if line][-1]
    assert last == "<!-- /map -->"


@pytest.mark.parametrize("room", CONTRACTS)
def test_a_room_says_what_comes_in_what_goes_out_and_what_it_must_not_know(room: str) -> None:
    source = (ROOT / room.replace(".", "/") / "__init__.py").read_text(encoding="utf-8")
    title, rest = source.split('"""')[1].split("\n\n", 1)
    lines = rest.strip().splitlines()
    assert title.endswith(".")
    assert "\n" not in title
    assert lines[0].startswith("In: ")
    assert " Out: " in lines[0]
    assert len(lines) == 2
    assert lines[1].endswith(".")


def anchors(page: str) -> set[str]:
    """The anchors that a heading gets where Markdown is shown: lower case, no punctuation, hyphens for spaces."""
    heads = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", ALL)
def test_every_link_leads_somewhere(page: str) -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for link in re.findall(r"\]\(([^)]+)\)", prose(page)):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent.joinpath(name).resolve() if name else ROOT / page
        assert target.exists(), link
        inside = target.relative_to(ROOT).as_posix()
        assert re.search(rf"^{re.escape(inside)}(/|$)", tracked, re.MULTILINE), f"{link} is in no commit"
        assert not anchor or anchor in anchors(inside), link


def test_the_pages_lead_to_each_other() -> None:
    """Whoever opens the first page finds the others, those of the clinic box from the package's own page."""
    led = {page for page in ALL if f"]({page}" in text("README.md") + text("CONTRIBUTING.md")}
    led |= {page for page in ALL if f"]({page.removeprefix('bmd_edge/')}" in text("bmd_edge/README.md")}
    led |= {page for page in ALL if f"]({page.removeprefix('bmd_edge/clinic/')}" in text("bmd_edge/clinic/README.md")}
    assert led | {"README.md"} == set(ALL)


INLINE = {page: re.findall(r"`([^`\n]+)`", prose(page)) for page in ALL}
SHOWN = {page: re.findall(r"^\$ (.+)$", text(page), re.MULTILINE) for page in ALL}
COMMANDS = sorted(
    {
        line.split("#")[0].strip()
        for page in ALL
        for line in (*INLINE[page], *SHOWN[page])
        if line.startswith("bmd-edge ") and " " in line
    }
)
WITH_ACTIONS = ("bundle", "clinic", "phantom", "study")
MODULES = sorted({found for page in ALL for found in re.findall(r"python -m ([\w.]+)", text(page))})


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """What `--help` of each command says."""
    found = {name: help_of(name) for name in commands_of(help_of())}
    assert set(WORKSHOPS) <= set(found)
    return found | {f"{one} {name}": help_of(one, name) for one in WITH_ACTIONS for name in commands_of(found[one])}


def help_of(*words: str) -> str:
    command = [sys.executable, "-m", "bmd_edge.cli.main", *words, "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def commands_of(said: str) -> list[str]:
    return re.findall(r"^  ([a-z][a-z-]*)  ", said.split("Commands:")[1], re.MULTILINE)


def options(said: str) -> set[str]:
    return set(re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", said))


def test_commands_and_options_that_pages_name_exist(helps: dict[str, str]) -> None:
    assert len(COMMANDS) > 20
    missing = []
    for command in COMMANDS:
        words = command.split()[1:]
        name = " ".join(words[:2]) if words[0] in WITH_ACTIONS else words[0]
        name = "phantom make" if name.startswith("phantom ") and name not in helps else name
        known = options(helps.get(name, help_of())) | {"--help"}
        named = {word.partition("=")[0] for word in words if word.startswith("--")}
        missing += [(command, one) for one in named - known]
        if name not in helps and not name.startswith("--"):
            missing += [(command, name)]
    assert missing == []


def test_options_that_pages_name_alone_exist(helps: dict[str, str]) -> None:
    every = options("\n".join(helps.values()).replace("--no-", " --no-"))
    alone = {one.split()[0] for page in ALL for one in INLINE[page] if one.startswith("--")}
    assert len(alone) > 8
    assert alone - every == {"--collect-data"}  # PyInstaller's


@pytest.mark.parametrize("name", MODULES)
def test_modules_that_pages_run_exist(name: str) -> None:
    if name == "pytest":
        return
    path = ROOT / name.replace(".", "/")
    assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


def test_make_targets_that_pages_name_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {one for page in ALL for one in re.findall(r"(?:`|^\$ )make ([\w-]+)", text(page), re.MULTILINE)}
    assert {"demo", "screen", "test", "bundle", "proofs"} <= named
    assert {one for one in named if not re.search(rf"^{one}:", makefile, re.MULTILINE)} == set()


SOURCES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}


@pytest.mark.parametrize("page", ALL)
def test_files_that_a_page_names_exist(page: str) -> None:
    """Paths in code marks that start with a folder of the checkout; NAME stands for what a reader adds."""
    folders = "bmd_edge|calibration|export|findings|tests|trainer"
    named = {word.strip(":,") for one in INLINE[page] for word in one.split()}
    for path in (one for one in named if re.match(rf"({folders})/[\w./-]+$", one) and "NAME" not in one):
        assert (ROOT / path).exists(), path
    for name in (one for one in named if re.fullmatch(r"test_\w+\.py", one)):
        assert name in SOURCES


def test_each_way_to_add_something_names_files_and_the_tests_that_notice() -> None:
    table = text("CONTRIBUTING.md").split("## How to add ...")[1]
    rows = [line.strip("|").split(" | ") for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 10
    for what, where, _, tests in rows:
        assert "`" in where, what
        named = re.findall(r"`(\w+)`", tests)
        assert named, what
        for name in named:
            assert [f for f, source in SOURCES.items() if f"def {name}(" in source], name
