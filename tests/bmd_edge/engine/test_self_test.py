import numpy as np
import onnxruntime
import pytest

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.engine.base import FunctionEngine
from bmd_edge.engine.open import open_engine
from bmd_edge.engine.self_test import self_test
from bmd_edge.errors import EngineError


@pytest.mark.parametrize(("model", "precision"), [("finder", "fp32"), ("bmd", "fp32"), ("bmd", "int8")])
def test_the_self_test_passes_on_the_right_model(bundle: VerifiedBundle, model: str, precision: str) -> None:
    with open_engine(bundle, model, device="cpu", precision=precision) as engine:
        differences = self_test(bundle, model, engine)
    assert set(differences) == set(bundle.manifest.models[model].outputs)


def test_the_self_test_notices_wrong_numbers(bundle: VerifiedBundle) -> None:
    facts = bundle.manifest.models["bmd"]
    with open_engine(bundle, "bmd", device="cpu", precision="fp32") as real:

        def slightly_wrong(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {name: values + 0.01 * (name == "bmd") for name, values in real.run(feeds).items()}

        wrong = FunctionEngine(slightly_wrong, facts.inputs, facts.outputs)
        with wrong, pytest.raises(EngineError, match=r"self-test of bmd .* bmd is off by 0.01"):
            self_test(bundle, "bmd", wrong)


@pytest.mark.gpu
@pytest.mark.skipif("CUDAExecutionProvider" not in onnxruntime.get_available_providers(), reason="no CUDA here")
def test_cuda_gives_the_golden_numbers(bundle: VerifiedBundle) -> None:
    for model in ("finder", "bmd"):
        with open_engine(bundle, model, device="cuda", precision="fp32") as engine:
            assert engine.device == "cuda"
            self_test(bundle, model, engine)
