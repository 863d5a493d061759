"""Whether an open engine is the network that the bundle describes: its inputs, outputs and golden outputs."""

import numpy as np

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.engine.base import Engine
from bmd_edge.errors import EngineError


def self_test(bundle: VerifiedBundle, model: str, engine: Engine) -> dict[str, float]:
    """Run the bundle's golden inputs through an open engine; returns output -> largest difference from the expected.

    Raises EngineError if an output differs by more than the tolerance the manifest states for `engine.precision`.
    """
    golden = bundle.golden()
    facts = bundle.manifest.models[model]
    tolerances = facts.golden_tolerance.get(engine.precision, {})
    feeds = {name: golden.get(f"{model}/input/{name}") for name in facts.inputs}
    expected = {name: golden.get(f"{model}/{engine.precision}/{name}") for name in facts.outputs}
    if set(tolerances) != set(expected) or any(array is None for array in (*feeds.values(), *expected.values())):
        raise EngineError(f"the bundle has no self-test of {model} in {engine.precision}; make the bundle again")
    results = engine.run({name: array for name, array in feeds.items() if array is not None})
    differences: dict[str, float] = {}
    for name, want in expected.items():
        if want is None or want.shape != results[name].shape:
            raise EngineError(f"the self-test of {model} expects another shape of {name}; make the bundle again")
        differences[name] = float(np.abs(results[name] - want).max())
        if differences[name] > tolerances[name]:
            raise EngineError(
                f"self-test of {model} in {engine.precision} on {engine.device} failed: {name} is off by"
                f" {differences[name]:.3g}, allowed {tolerances[name]:.3g}; try --precision fp32 or another --device"
            )
    return differences


def check_specs(bundle: VerifiedBundle, model: str, engine: Engine) -> None:
    """Close an open engine and raise EngineError if its inputs or outputs are not those of the manifest."""
    facts = bundle.manifest.models[model]
    if engine.inputs != facts.inputs or engine.outputs != facts.outputs:
        engine.close()
        raise EngineError(f"the inputs or outputs of {model} are not those of the manifest; make the bundle again")
