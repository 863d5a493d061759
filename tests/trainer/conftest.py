from pathlib import Path

import pytest
import torch

from tests.support import stand_in


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The film table of a stand-in cohort: 84 ROIs and 24 films."""
    torch.set_num_threads(1)
    return stand_in.make(tmp_path_factory.mktemp("cohort"), 84, 24)
