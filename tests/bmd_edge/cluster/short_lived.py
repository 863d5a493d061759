"""In place of the process that speaks to Ray: it is up, is told to examine films, and ends as where a head is lost."""

import sys
from multiprocessing.connection import Connection

if __name__ == "__main__":
    with Connection(int(sys.argv[1])) as connection:
        connection.recv()
        connection.send(("up", None))
        connection.recv()
