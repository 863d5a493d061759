"""What is said to be done can be done by those who run a box."""

import re

import pytest
from typer.main import get_command

from bmd_edge.clinic.commands import app
from bmd_edge.clinic.remedies import IN_A_BOX, remedy
from bmd_edge.errors import REFUSALS

NO_DOOR_TAKES = {"packed_file", "link"}
"""Codes of what never comes through a door."""


@pytest.mark.parametrize("code", sorted(set(REFUSALS) - NO_DOOR_TAKES))
def test_no_remedy_names_an_option_or_a_run_of_another_command(code: str) -> None:
    outside = re.sub(r"`bmd-edge clinic [^`]*`", "", remedy(code))
    assert not re.search(r"--[a-z]|\brun again\b|\bscreen\b", outside, re.IGNORECASE)


@pytest.mark.parametrize("code", IN_A_BOX)
def test_the_commands_that_remedies_name_are_there(code: str) -> None:
    assert code in REFUSALS
    assert remedy(code) == IN_A_BOX[code] != REFUSALS[code].remedy
    for words in re.findall(r"`bmd-edge clinic ([^`]*)`", remedy(code)):
        name, option, _ = words.split()
        known = [one for parameter in get_command(app).commands[name].params for one in parameter.opts]
        assert option in known
