import json
import re
from pathlib import Path

from bmd_edge.bundle.bundle import VerifiedBundle
from export.int8.ranges import METHODS


def test_the_report_says_what_was_tried(made: tuple[Path, VerifiedBundle]) -> None:
    folder, bundle = made
    report = json.loads((folder / "run" / "export_report.json").read_text())
    int8, made_with = report["int8"], bundle.manifest.provenance.quantization
    assert made_with is not None
    assert set(int8["range_methods"]) == set(METHODS)
    assert made_with.range_method == min(int8["range_methods"], key=lambda name: int8["range_methods"][name]["rms"])
    assert len(int8["layer_sensitivity"]) == made_with.layers == 7  # the first convolution stays fp32
    assert set(report["accuracy"]) == {"fp32", "int8"}
    assert report["embedded"]["sites"]["total_hip"]["hips"] == 44
    html = (folder / "run" / "export_report.html").read_text()
    assert all(said.partition(":")[0] in html for said in report["embedded"]["sentences"])


def test_the_report_is_one_page_that_stands_alone(made: tuple[Path, VerifiedBundle]) -> None:
    folder, bundle = made
    html = (folder / "run" / "export_report.html").read_text()
    assert "Research use only, not for diagnosis." in html
    assert "Of no use." in html  # the bundle's notice
    assert "INT8 is inside its error budget." in html
    assert html.count("data:image/svg+xml;base64,") == 2 * 3 + 2
    assert not re.search(r"<script|(src|href)=.(?!data:)|url\(|https?://", html)
    assert str(folder) not in html
    neck = bundle.manifest.guard["int8"]["femoral_neck"]
    assert f"<td>{neck.mean_shift_gcm2:+.4f}</td>" in html
    report = json.loads((folder / "run" / "export_report.json").read_text())
    for name in ("bmd.onnx", "bmd.int8.onnx", "finder.onnx"):
        assert report["bytes"][name] == bundle.manifest.files[name].bytes
    assert {(one["precision"], one["batch"]) for one in report["latency"]} == {
        ("fp32", 1), ("fp32", 8), ("int8", 1), ("int8", 8),
    }  # fmt: skip
    assert all(0 < one["median_ms"] <= one["p90_ms"] for one in report["latency"])
    assert {one["speedup"] for one in report["latency"] if one["precision"] == "fp32"} == {1.0}
