#!/usr/bin/env bash
# onnxsim 0.8.1, onnxslim 0.1.98: of two tools that shrink an ONNX file, one writes into its metadata, one forgets some.
#
# Guess: both leave what a file says of itself (metadata_props, version, domain, doc_string) as it is.
# Seen: onnxsim keeps all of it and adds entries of its own to metadata_props, here 19: settings, and the names of nodes
# and values that it removed or changed. onnxslim keeps metadata_props, sets model_version to 0, and empties domain and
# doc_string.
# So the contract inside a bundle's files stands in metadata_props, in keys of its own (export/onnx_file/from_run.py).
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check \
  onnx==1.23.2 onnxsim==0.8.1 onnxslim==0.1.98 onnxruntime==1.32.0 numpy==2.4.6
cd "$place"
"$place/env/bin/python" - 2> /dev/null <<'PY'
import importlib.metadata

import numpy as np
import onnx
import onnxsim
import onnxslim
from onnx import TensorProto, helper, numpy_helper

ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "y")]
nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Identity", ["h"], ["y"])]
graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
model.model_version, model.domain, model.doc_string = 7, "org.example", "what it is"
helper.set_model_props(model, {"unit": "g/cm2"})
onnx.save(model, "model.onnx")


def says(name, one):
    props = {entry.key: entry.value for entry in one.metadata_props}
    added = sorted(set(props) - {"unit"})
    print(name, importlib.metadata.version(name), "| unit:", props.get("unit"), "| added:", len(added), added[:4])
    print("  version, domain, doc_string:", one.model_version, repr(one.domain), repr(one.doc_string))
    return props.get("unit"), added, (one.model_version, one.domain, one.doc_string)


unit, added, rest = says("onnxsim", onnxsim.simplify(model)[0])
as_seen = unit == "g/cm2" and "onnxsim.removed_values" in added and rest == (7, "org.example", "what it is")
unit, added, rest = says("onnxslim", onnxslim.slim("model.onnx"))
raise SystemExit(not (as_seen and (unit, added, rest) == ("g/cm2", [], (0, "", ""))))
PY
