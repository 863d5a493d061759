"""Ways to tamper with a bundle, each with the words of its refusal."""

import hashlib
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from bmd_edge.bundle.manifest import KINDS, LANDMARKS
from bmd_edge.bundle.network_input import InputSpec


def change(folder: Path, edit: Callable[[dict[str, Any]], object], name: str = "manifest.json") -> None:
    """Edit a JSON file of a bundle; a file other than the manifest gets its new hash there, as a forger would."""
    facts = json.loads((folder / name).read_text())
    edit(facts)
    (folder / name).write_text(json.dumps(facts))
    if name != "manifest.json":
        rehash(folder, name)


def rehash(folder: Path, name: str) -> None:
    raw = (folder / name).read_bytes()
    facts = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    change(folder, lambda manifest: manifest["files"].__setitem__(name, facts))


def flip_byte(folder: Path, name: str = "bmd.onnx") -> None:
    raw = bytearray((folder / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / name).write_bytes(raw)


def link_outside(folder: Path) -> None:
    target = folder.parent / "elsewhere.onnx"
    (folder / "bmd.onnx").rename(target)
    (folder / "bmd.onnx").symlink_to(target)


def fifo(folder: Path) -> None:
    (folder / "MODEL_CARD.md").unlink()
    os.mkfifo(folder / "MODEL_CARD.md")


def set_external(weight: onnx.TensorProto) -> None:
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "../../secret"


def loosen(folder: Path) -> None:
    change(folder, lambda m: m["guard"]["int8"]["total_hip"]["limits"].update(p99_shift_gcm2=1.0))


def edit_onnx(edit: Callable[[onnx.ModelProto], object], name: str = "bmd.int8.onnx") -> Callable[[Path], None]:
    """A forger's edit of a network, with new hashes in the manifest and in the calibration."""

    def tamper(folder: Path) -> None:
        model = onnx.load(folder / name)
        edit(model)
        write_model(folder, name, model.SerializeToString())

    return tamper


def write_model(folder: Path, name: str, raw: bytes) -> None:
    (folder / name).write_bytes(raw)
    rehash(folder, name)
    for precision, file in (("fp32", "bmd.onnx"), ("int8", "bmd.int8.onnx")):
        if file == name:
            sha256 = hashlib.sha256(raw).hexdigest()
            numbers = json.loads((folder / "calibration.json").read_text())
            numbers["precisions"][precision]["model_sha256"] = sha256
            (folder / "calibration.json").write_text(json.dumps(numbers))
            rehash(folder, "calibration.json")


def pickle_as_model(folder: Path) -> None:
    write_model(folder, "bmd.int8.onnx", pickle.dumps({"bmd": [0.7, 0.8]}))


def finder_as_bmd(folder: Path) -> None:
    write_model(folder, "bmd.onnx", (folder / "finder.onnx").read_bytes())


def rename_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "t_score"


def widen_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 4096


def other_unit(model: onnx.ModelProto) -> None:
    next(entry for entry in model.metadata_props if entry.key == "unit").value = "mg/cm3"


def own_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.elsewhere"


def pickle_inside(folder: Path) -> None:
    np.savez(folder / "golden.npz", a=np.array([{"a": 1}], dtype=object))
    rehash(folder, "golden.npz")


def zip_bomb(folder: Path) -> None:
    with zipfile.ZipFile(folder / "golden.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(250_000_000))
    rehash(folder, "golden.npz")


def listed_outside(folder: Path) -> None:
    change(folder, lambda m: m["files"].__setitem__("../up.onnx", {"bytes": 1, "sha256": "0"}))


def absolute_path(folder: Path) -> None:
    change(folder, lambda m: m["files"].__setitem__("/etc/passwd", m["files"]["bmd.onnx"]))


def key_twice(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace("{", '{"version": "twice",', 1))


def other_calibration(folder: Path) -> None:
    change(folder, lambda c: c["precisions"]["int8"].__setitem__("model_sha256", "0" * 64), "calibration.json")


def zero_scale(folder: Path) -> None:
    change(folder, lambda c: c["precisions"]["fp32"]["sites"]["total_hip"].__setitem__("scale", 0), "calibration.json")


def one_site(folder: Path) -> None:
    change(folder, lambda c: c["precisions"]["fp32"]["sites"].pop("total_hip"), "calibration.json")


def no_int8_calibration(folder: Path) -> None:
    change(folder, lambda c: c["precisions"].pop("int8"), "calibration.json")


def not_a_number(folder: Path) -> None:
    text = (folder / "calibration.json").read_text()
    (folder / "calibration.json").write_text(text.replace("1.7", "NaN"))
    rehash(folder, "calibration.json")


def swapped_files(folder: Path) -> None:
    change(folder, lambda m: m["models"]["finder"]["files"].__setitem__("fp32", "bmd.onnx"))


def prepared(name: str, **changes: float) -> Callable[[Path], None]:
    """An edit of one input in the manifest alone, with the fingerprint and the region that belong to it."""

    def edit(manifest: dict[str, Any]) -> None:
        facts = manifest["inputs"][name]
        facts.update(changes)
        spec = InputSpec(name, **{key: value for key, value in facts.items() if key != "fingerprint"})
        facts["fingerprint"] = spec.fingerprint()
        if name == "bmd":
            manifest["roi_mm"] = spec.side_mm

    return lambda folder: change(folder, edit)


def stated(**facts: object) -> Callable[[Path], None]:
    return lambda folder: change(folder, lambda m: m.update(facts))


def stated_input(**facts: float) -> Callable[[Path], None]:
    return lambda folder: change(folder, lambda m: m["inputs"]["finder_survey"].update(facts))


def limits(**numbers: object) -> Callable[[Path], None]:
    return lambda folder: change(folder, lambda m: m["plausibility"].update(numbers))


def say_inputs(text: str) -> Callable[[onnx.ModelProto], None]:
    def edit(model: onnx.ModelProto) -> None:
        next(entry for entry in model.metadata_props if entry.key == "inputs").value = text

    return edit


def another_output(file: str, model: str, name: str) -> Callable[[Path], None]:
    """A network with one answer more in one output, in its file and in the manifest."""

    def one_more(network: onnx.ModelProto) -> None:
        value = next(value for value in network.graph.output if value.name == name)
        value.type.tensor_type.shape.dim[1].dim_value += 1

    def tamper(folder: Path) -> None:
        edit_onnx(one_more, file)(folder)
        change(folder, lambda m: m["models"][model]["files"].pop("int8", None))
        shape = json.loads((folder / "manifest.json").read_text())["models"][model]["outputs"][name]["shape"]
        shape[1] += 1
        change(folder, lambda m: m["models"][model]["outputs"][name].update(shape=shape))

    return tamper


def guard(key: str, value: object) -> Callable[[Path], None]:
    return lambda folder: change(folder, lambda m: m["guard"]["int8"]["total_hip"].__setitem__(key, value))


TAMPERED: dict[str, tuple[Callable[[Path], object], str]] = {
    "model byte": (flip_byte, "hash"),
    "model cut": (lambda f: (f / "bmd.onnx").write_bytes((f / "bmd.onnx").read_bytes()[:-1]), "size"),
    "card edited": (lambda f: flip_byte(f, "MODEL_CARD.md"), "hash"),
    "calibration edited": (lambda f: flip_byte(f, "calibration.json"), "hash"),
    "golden edited": (lambda f: flip_byte(f, "golden.npz"), "hash"),
    "file missing": (lambda f: (f / "MODEL_CARD.md").unlink(), "missing"),
    "file added": (lambda f: (f / "run.py").write_text("x"), "unexpected entry"),
    "left by a file manager": (lambda f: (f / ".DS_Store").write_text("x"), r"'\.DS_Store': delete it$"),
    "left by another": (lambda f: (f / "Thumbs.db").write_text("x"), r"'Thumbs\.db': delete it$"),
    "folder added": (lambda f: (f / "more").mkdir(), "unexpected entry"),
    "link": (link_outside, "not a regular file"),
    "pipe": (fifo, "not a regular file"),
    "external data": (edit_onnx(lambda m: set_external(m.graph.initializer[0]), "bmd.onnx"), "outside the file"),
    "external data in INT8": (edit_onnx(lambda m: set_external(m.graph.initializer[0])), "outside the file"),
    "pickle as a model": (pickle_as_model, r"bmd\.int8\.onnx is no ONNX file"),
    "finder as BMD network": (finder_as_bmd, "says that it is finder"),
    "output renamed": (edit_onnx(rename_output), "inputs or outputs of bmd.int8.onnx are not those"),
    "input widened": (edit_onnx(widen_input, "bmd.onnx"), "inputs or outputs of bmd.onnx are not those"),
    "contract removed": (edit_onnx(lambda m: m.ClearField("metadata_props")), "says that it is None"),
    "unit changed": (edit_onnx(other_unit), "in mg/cm3, manifest.json says otherwise"),
    "own operator": (edit_onnx(own_operator), "operators that ONNX does not define"),
    "signature is a folder": (lambda f: (f / "bundle.sig").mkdir(), "not a regular file"),
    "few guard hips": (guard("n", 403), "outside its error budget: total_hip, judged on 403 hips"),
    "guard figure edited": (guard("p99_shift_gcm2", 0.02), "outside its error budget"),
    "looser limits": (
        lambda f: (guard("p99_shift_gcm2", 0.02)(f), loosen(f)),
        "outside its error budget",
    ),
    "pickle": (pickle_inside, r"golden\.npz cannot be read"),
    "zip bomb": (zip_bomb, "larger than any"),
    "path outside": (listed_outside, "does not belong"),
    "absolute path": (
        lambda f: change(f, lambda m: m["files"].update({"/etc/passwd": m["files"]["bmd.onnx"]})),
        "belong",
    ),
    "file unlisted": (lambda f: change(f, lambda m: m["files"].pop("MODEL_CARD.md")), "does not list"),
    "models swapped": (swapped_files, "disagree"),
    "newer schema": (lambda f: change(f, lambda m: m.update(schema=2)), "schema 2"),
    "unknown key": (lambda f: change(f, lambda m: m.update(extra=1)), "unknown key 'extra'"),
    "missing key": (lambda f: change(f, lambda m: m.pop("roi_mm")), "'roi_mm' is missing"),
    "wrong type": (lambda f: change(f, lambda m: m.update(roi_mm="146")), "str where float"),
    "key twice": (key_twice, "a key twice"),
    "not JSON": (lambda f: (f / "manifest.json").write_text("{"), "not valid JSON"),
    "a list": (lambda f: (f / "manifest.json").write_text("[]"), "schema None"),
    "other preprocessing": (lambda f: change(f, lambda m: m["inputs"]["bmd"].update(low_percentile=2)), "another way"),
    "finder's spacing doubled": (prepared("finder_survey", spacing_mm=3.6), r"finder\.onnx was trained on inputs"),
    "BMD spacing halved": (prepared("bmd", spacing_mm=0.65), r"bmd\.int8\.onnx was trained on inputs prepared"),
    "the network's own word edited": (edit_onnx(say_inputs("{}"), "finder.onnx"), r"finder\.onnx was trained on"),
    "the network's own word broken": (edit_onnx(say_inputs("{"), "bmd.onnx"), "inputs is not valid JSON"),
    "size that the network has not": (prepared("finder_closeup", size_px=128), "its finder network takes others"),
    "no pixels": (stated_input(size_px=0), "0 pixels a side"),
    "pixels without size": (stated_input(spacing_mm=0), "pixels of 0 mm"),
    "percentiles turned": (stated_input(low_percentile=99, high_percentile=1), "percentiles 99 and 1"),
    "another region": (stated(roi_mm=999), "roi_mm is 999, its input bmd is 145.6 mm"),
    "landmarks turned": (stated(landmarks=LANDMARKS[::-1]), "landmarks are .*this bmd-edge knows"),
    "kinds turned": (stated(kinds=KINDS[::-1]), "kinds are .*this bmd-edge knows"),
    "sites turned": (stated(sites=["total_hip", "femoral_neck"]), "sites are .*this bmd-edge knows"),
    "another unit": (stated(unit="mg/cm2"), "unit are mg/cm2"),
    "a kind more": (another_output("finder.onnx", "finder", "kind"), "no output kind of 6"),
    "a landmark more": (another_output("finder.onnx", "finder", "heatmaps"), "no output heatmaps of 6"),
    "another embedding": (another_output("finder.onnx", "finder", "embedding"), "no output embedding of 8"),
    "unknown limit": (limits(max_shape=1.0), "unknown key 'max_shape'"),
    "limit left out": (lambda f: change(f, lambda m: m["plausibility"].pop("min_peak")), "'min_peak' is missing"),
    "limit in words": (limits(min_intact="high"), "str where float"),
    "no peak needed": (limits(min_peak=0), "min_peak is 0, not between 0 and 1"),
    "every kind intact": (limits(min_intact=0), "min_intact is 0, not between"),
    "looks need not agree": (limits(max_disagreement_mm=1000), "max_disagreement_mm is 1000, not between 0 and 60"),
    "any shape": (limits(max_shape_distance=1e9), "max_shape_distance is 1e"),
    "no shape": (limits(max_shape_distance=0), "max_shape_distance is 0"),
    "any embedding": (limits(max_embedding_distance=1e9), "max_embedding_distance is 1e"),
    "flag beyond the limit": (limits(max_embedding_distance=9.0), "above max_embedding_distance"),
    "shape switched off": (limits(shape_mean=[], shape_precision=[]), "shape_mean is no shape"),
    "embedding switched off": (limits(embedding_mean=[], embedding_precision=[]), "no square as long as"),
    "precision of zeros": (limits(embedding_precision=[[0.0] * 8] * 8), "it measures no distance"),
    "precision of next to nothing": (
        limits(embedding_precision=(1e-30 * np.eye(8)).tolist()),
        "embedding_precision is no inverse covariance: it measures no distance",
    ),
    "shapes near whatever they are": (limits(shape_precision=(1e-9 * np.eye(10)).tolist()), "it measures no distance"),
    "precision cut": (limits(shape_precision=[[1.0] * 10] * 9), "no square as long as shape_mean"),
    "lopsided precision": (limits(embedding_precision=np.triu(np.ones((8, 8))).tolist()), "it measures no distance"),
    "other model's calibration": (other_calibration, "another model"),
    "scale of zero": (zero_scale, "out of range"),
    "not a number": (not_a_number, "NaN"),
    "site without interval": (one_site, "do not cover the sites"),
    "precision without interval": (no_int8_calibration, "does not cover the precisions"),
    "guard failed": (guard("passed", False), "not kept its error budget"),
    "guard removed": (lambda f: change(f, lambda m: m["guard"].clear()), "not kept its error budget"),
    "guard of one site": (
        lambda f: change(f, lambda m: m["guard"]["int8"].pop("total_hip")),
        "not kept its error budget",
    ),
}
