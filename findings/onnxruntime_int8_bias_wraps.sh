#!/usr/bin/env bash
# onnxruntime 1.32.0: an INT8 convolution whose channel hardly reads its input wraps on the CPU, in silence.
#
# Guess: the static quantizer keeps bias and sums of a convolution inside the kernel's int32, whatever the weights are.
# Seen: it widens a weight's scale only until the bias alone fits (.99 of 2^31 units); the kernel then adds the products
# to it in int32 and wraps. A channel with weights near 1e-6 and bias 1, as folding a batch norm that switched it off gives,
# comes out far from 1 on the CPU, while the same file without graph optimizations, and fp32, say 1.00.
# So quantized files need a check per channel that bias and largest sum stay below 2^31 (export/onnx_file/int32_sums.py).
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$place"
"$place/env/bin/python" - <<'PY'
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

rng = np.random.default_rng(0)
weight = rng.normal(0, 0.1, (2, 64, 3, 3)).astype(np.float32)
weight[1] = 1e-5 * np.abs(weight[1])
images = [rng.random((1, 64, 16, 16), np.float32) for _ in range(8)]
graph = helper.make_graph(
    [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["y"]),
    ],
    "one", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64, 16, 16])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 1, 1])],
    [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.array([0.0, 1.0], np.float32), "b")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
onnx.save(model, "fp32.onnx")


class Images(CalibrationDataReader):
    def __init__(self):
        self.rest = iter(images)

    def get_next(self):
        image = next(self.rest, None)
        return None if image is None else {"x": image}


quantize_static("fp32.onnx", "int8.onnx", Images(), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
                extra_options={"ActivationSymmetric": True, "WeightSymmetric": True})


def says(path, optimized=True):
    options = ort.SessionOptions()
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return float(np.mean([session.run(None, {"x": image})[0][0, 1, 0, 0] for image in images]))


fp32, plain, cpu = says("fp32.onnx"), says("int8.onnx", optimized=False), says("int8.onnx")
print("onnxruntime", ort.__version__)
print(f"fp32 {fp32:.3f}, INT8 without optimizations {plain:.3f}, INT8 as the CPU runs it {cpu:.3f}")
raise SystemExit(not (abs(fp32 - plain) < 0.05 and abs(fp32 - cpu) > 0.2))
PY
