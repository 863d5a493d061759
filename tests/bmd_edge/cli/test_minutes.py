"""A line a minute."""

from bmd_edge.cli.minutes import Minutes


def test_a_line_a_minute_with_what_is_left() -> None:
    now, said = [0.0], list[str]()
    tell = Minutes("films", said.append, lambda: now[0])
    for second in range(0, 301, 10):
        now[0] = float(second)
        tell(100 + second, 700)  # 100 were there before
    assert len(said) == 5
    assert said[0] == "films: 160 of 700, about 9 min left"
    assert said[-1] == "films: 400 of 700, about 5 min left"


def test_a_standstill_is_said_without_a_guess() -> None:
    now, said = [0.0], list[str]()
    tell = Minutes("films", said.append, lambda: now[0])
    for now[0] in (0.0, 61.0):
        tell(3, 9)
    assert said == ["films: 3 of 9"]


def test_the_last_minute_is_said_as_such() -> None:
    now, said = [0.0], list[str]()
    tell = Minutes("films", said.append, lambda: now[0])
    for now[0], done in ((0.0, 0), (60.0, 90)):
        tell(done, 100)
    assert said == ["films: 90 of 100, less than a minute left"]
