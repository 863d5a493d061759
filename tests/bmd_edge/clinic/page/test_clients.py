"""Who is slow makes room for who comes, on real sockets."""

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from time import sleep

import pytest

from bmd_edge.clinic.page.clients import Clients, Prompt

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    """Four connections: the server's end and the client's."""
    made = [socket.socketpair() for _ in range(4)]
    yield made
    for pair in made:
        for one in pair:
            one.close()


def is_closed(pair: Pair) -> bool:
    """Whether the client sees that the server has ended the connection."""
    pair[1].settimeout(0.05)
    try:
        return pair[1].recv(1) == b""
    except TimeoutError:
        return False


def test_the_one_that_was_waited_for_longest_has_to_go(pairs: list[Pair]) -> None:
    first, second, third, fourth = pairs
    clients = Clients(2)
    assert all(clients.enter(server) for server, _ in (first, second))
    assert [is_closed(pair) for pair in pairs] == [False] * 4
    assert clients.enter(third[0])
    assert [is_closed(pair) for pair in pairs] == [True, False, False, False]
    clients.answer(second[0])
    assert clients.enter(fourth[0])  # in place of the third: the second one is being answered
    assert [is_closed(pair) for pair in pairs] == [True, False, True, False]
    assert clients.gone == 2


def test_nobody_goes_whose_answer_is_being_made(pairs: list[Pair]) -> None:
    first, second, third, _ = pairs
    clients = Clients(2)
    for server, _ in (first, second):
        clients.enter(server)
        clients.answer(server)
    assert not clients.enter(third[0])
    clients.wait_for(second[0])  # it has to take its answer, and does not
    assert clients.enter(third[0])
    assert [is_closed(pair) for pair in pairs[:3]] == [False, True, False]


def test_who_is_gone_leaves_room(pairs: list[Pair]) -> None:
    clients = Clients(1)
    for pair in pairs:
        assert clients.enter(pair[0])
        clients.leave(pair[0])
        clients.answer(pair[0])  # a thread that was late
    assert clients.gone == 0


def test_one_that_has_gone_by_itself_is_no_fault(pairs: list[Pair]) -> None:
    clients = Clients(1)
    clients.enter(pairs[0][0])
    pairs[0][0].close()
    assert clients.enter(pairs[1][0])


def test_bytes_are_taken_for_so_long_and_no_longer(pairs: list[Pair]) -> None:
    server, client = pairs[0]
    client.sendall(b"GET / HTTP/1.1\r\n")
    reader = io.BufferedReader(Prompt(server, 0.5))
    assert reader.readline() == b"GET / HTTP/1.1\r\n"
    ends = threading.Event()

    def drip() -> None:
        with suppress(OSError):
            while not ends.is_set():
                client.sendall(b"a")
                sleep(0.02)

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        with pytest.raises(TimeoutError):
            reader.readline()  # which never ends
        with pytest.raises(TimeoutError):
            reader.read(1)
    finally:
        ends.set()
        thread.join()
