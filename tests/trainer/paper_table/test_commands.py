import json
from pathlib import Path

import pytest

from bmd_edge.errors import UsageError
from tests.trainer.paper_table.test_units import SIZE
from trainer.paper_table.commands import table as table_command
from trainer.paper_table.units import (
    Unit,
    settings,
)
from trainer.run.settings_file import to_toml


def test_a_report_of_another_size_is_refused(tmp_path: Path) -> None:
    unit = Unit("mse", "mse", 0)
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / "mse-0.json").write_text(json.dumps({"settings": to_toml(settings(unit, SIZE))}))
    with pytest.raises(UsageError, match="comes from other settings"):
        table_command(out=tmp_path, budget=0.5, report_only=True)
    assert not (tmp_path / "table.json").exists()
