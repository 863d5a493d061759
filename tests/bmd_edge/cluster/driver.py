"""One run on a cluster, to be killed: python -m tests.bmd_edge.cluster.driver FILMS OUT ADDRESS

It prints how many films are finished, each time that one is.
"""

import logging
import sys
from pathlib import Path

from bmd_edge.cluster.cluster_crew import ClusterCrew
from bmd_edge.screen import folder_plan
from bmd_edge.screen.run import screen_folder
from tests.support.screening import faulty_screener


def tell(done: int, total: int) -> None:
    sys.stdout.write(f"{done}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    folder_plan.SETTLE_S = 0
    logging.basicConfig(format="%(message)s")
    with ClusterCrew(faulty_screener, sys.argv[3]) as crew:
        folder, out = map(Path, sys.argv[1:3])
        screen_folder(crew, folder, out, progress=tell)
