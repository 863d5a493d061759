"""What `bmd-edge compile` does, and how what it made is opened: decided from the cache, proved by golden outputs."""

from collections.abc import Callable, Iterator
from contextlib import closing

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.engine import tensorrt
from bmd_edge.engine.base import Engine
from bmd_edge.engine.engine_files import EngineCache
from bmd_edge.engine.self_test import check_specs, self_test
from bmd_edge.errors import EngineError

Progress = Callable[[str, int, int], None]


def open_compiled(
    bundle: VerifiedBundle,
    model: str,
    precision: str,
    *,
    cache: EngineCache | None = None,
    kit: tensorrt.Toolkit | None = None,
) -> Engine:
    """Open the engine that `bmd-edge compile` built for this network on this machine; never build one.

    Raises EngineError, naming the command, where it is missing, stale, edited or foreign; MissingExtra where TensorRT
    is not installed.
    """
    kit = kit or tensorrt.toolkit()
    engine = tensorrt.TensorRtEngine(*compiled(bundle, model, precision, kit, cache or EngineCache()), kit)
    engine.open()
    check_specs(bundle, model, engine)
    return engine


def compiled(
    bundle: VerifiedBundle, model: str, precision: str, kit: tensorrt.Toolkit, cache: EngineCache
) -> tuple[bytes, str]:
    """The engine that `bmd-edge compile` built for this network on this machine, and its precision, never "auto".

    Raises EngineError as `open_compiled` does.
    """
    precision = _chosen(bundle, model, precision)
    return cache.read(tensorrt.target(kit, bundle.model_bytes(model, precision))), precision


def compile_bundle(
    bundle: VerifiedBundle,
    precision: str = "auto",
    *,
    cache: EngineCache | None = None,
    kit: tensorrt.Toolkit | None = None,
    progress: Progress = lambda *_: None,
) -> Iterator[tuple[str, str, str]]:
    """Build what `screen --device tensorrt --precision ...` will open, where the cache does not hold it.

    Yields (model, precision, what was done). Each engine must give the bundle's golden outputs before it is stored.
    Raises EngineError where it does not, or TensorRT cannot build it; MissingExtra without TensorRT.
    """
    kit, cache = kit or tensorrt.toolkit(), cache or EngineCache()
    for model in bundle.manifest.models:
        # The finder may exist in fp32 only: `precision` is that of the numbers, so of the BMD network.
        chosen = _chosen(bundle, model, precision if model == "bmd" else "auto")
        onnx = bundle.model_bytes(model, chosen)
        target = tensorrt.target(kit, onnx)
        try:
            cache.read(target)
        except EngineError as error:
            built = tensorrt.build(kit.trt, onnx, timing=cache.timing(target), progress=progress)
            cache.write_timing(target, built.timing)
            with closing(tensorrt.TensorRtEngine(built.plan, chosen, kit)) as engine:
                engine.open()
                check_specs(bundle, model, engine)
                largest = max(self_test(bundle, model, engine).values())
            about = {"model": model, "precision": chosen, "bundle": bundle.manifest.version}
            cache.write(target, built.plan, about)
            why = str(error).partition(";")[0]
            yield model, chosen, f"built ({why}); self-test passed, largest difference {largest:.2g}"
        else:
            yield model, chosen, "was compiled before"


def _chosen(bundle: VerifiedBundle, model: str, precision: str) -> str:
    """The precision to use; EngineError where INT8 was judged by the CPU's numbers only, which clip less."""
    on_gpu = model == "bmd" and bundle.int8_on_gpu
    if precision == "auto":
        return "int8" if on_gpu else "fp32"
    if precision == "int8" and "int8" in bundle.precisions(model) and not on_gpu:
        raise EngineError(
            "this bundle's INT8 was not judged as TensorRT computes it: use --precision fp32, or export the"
            " bundle again"
        )
    return precision
