import json
from pathlib import Path

from PIL import Image

from trainer.paper_table.plot import draw

WHOLE = json.loads((Path(__file__).parents[3] / "trainer/results/table.json").read_text())


def size(table: dict[str, object], path: Path) -> tuple[int, int]:
    draw(table, path)
    with Image.open(path) as picture:
        return picture.size


def test_a_table_of_one_row_has_no_empty_panels(tmp_path: Path) -> None:
    one_row = [row for row in WHOLE["rows"] if row["recipe"] == "mse"]
    whole = size(WHOLE, tmp_path / "whole.png")
    part = size({**WHOLE, "rows": one_row, "paired": {}, "learning_curve": []}, tmp_path / "part.png")
    pairs = size({**WHOLE, "learning_curve": []}, tmp_path / "pairs.png")
    assert part[0] < pairs[0] < whole[0]  # a panel for what is there, and no other
    assert part[1] < pairs[1] == whole[1]  # and as high as its rows want
