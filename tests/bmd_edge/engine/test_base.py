import numpy as np
import pytest

from bmd_edge.engine.base import FunctionEngine
from bmd_edge.errors import EngineError

IMAGE = ((None, 1, 4, 4), "float32")
ONE = np.ones((1, 1, 4, 4), np.float32)


def double(outputs: dict[str, np.ndarray] | None = None) -> FunctionEngine:
    fn = (lambda feeds: {"y": feeds["image"] * 2}) if outputs is None else (lambda _: outputs)
    return FunctionEngine(fn, inputs={"image": IMAGE}, outputs={"y": IMAGE})


def test_a_function_is_an_engine() -> None:
    with double() as engine:
        assert engine.run({"image": ONE})["y"].sum() == 32
        assert (engine.device, engine.precision) == ("function", "fp32")
        assert engine.inputs["image"].shape == (None, 1, 4, 4)


@pytest.mark.parametrize(
    ("feeds", "says"),
    [
        ({"picture": ONE}, "inputs are"),
        ({"image": ONE.astype(np.float64)}, "must be float32"),
        ({"image": ONE[:, :, :3]}, "must be float32"),
        ({"image": ONE[0]}, "must be float32"),
        ({"image": ONE[:0]}, "a batch of 0"),
        ({"image": ONE * np.nan}, "not finite"),
    ],
)
def test_wrong_inputs_are_refused(feeds: dict[str, np.ndarray], says: str) -> None:
    with double() as engine, pytest.raises(EngineError, match=says):
        engine.run(feeds)


@pytest.mark.parametrize(
    ("outputs", "says"),
    [({}, "outputs are"), ({"y": ONE * np.inf}, "not finite"), ({"y": np.repeat(ONE, 2, 0)}, "a batch of 2, not 1")],
)
def test_wrong_outputs_are_refused(outputs: dict[str, np.ndarray], says: str) -> None:
    with double(outputs) as engine, pytest.raises(EngineError, match=says):
        engine.run({"image": ONE})
