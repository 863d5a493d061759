"""The bundle on disk: what its files are called, and how large they may be.

manifest.json     schema, version, sha256 of each file, model inputs and outputs, preprocessing with fingerprints,
                  landmarks, sites, validity, provenance, guard
finder.onnx       landmarks and kind of film (fp32)
bmd.onnx          BMD, predicted spread, embedding (fp32)
bmd.int8.onnx     the same with explicit Q/DQ; present only if it stayed inside its error budget in g/cm2
calibration.json  numbers only, bound to the sha256 of the model they were fitted with
golden.npz        inputs and expected outputs of each model and precision (`bmd_edge.engine.self_test`)
MODEL_CARD.md     the same facts for people
drift.json        means and covariances that `bmd-edge drift` compares films with; may be missing
bundle.sig        optional: signature over all other files (`bmd-edge sign`), read where a key is given to check it with
"""

SCHEMA = 1
MANIFEST = "manifest.json"
CALIBRATION = "calibration.json"
GOLDEN = "golden.npz"
MODEL_CARD = "MODEL_CARD.md"
DRIFT = "drift.json"
SIGNATURE = "bundle.sig"
MODEL_FILES: dict[str, dict[str, str]] = {
    "finder": {"fp32": "finder.onnx"},
    "bmd": {"fp32": "bmd.onnx", "int8": "bmd.int8.onnx"},
}
"""model -> precision -> file name; a bundle may leave out the INT8 file."""

REQUIRED_FILES = {"finder.onnx", "bmd.onnx", CALIBRATION, GOLDEN, MODEL_CARD}
ALLOWED_FILES = REQUIRED_FILES | {"bmd.int8.onnx", DRIFT}
INT8_AS_WRITTEN = "int8_as_written"
"""Key of the figures of the INT8 file with the numbers that TensorRT has: it clips what the CPU keeps."""
MAX_MANIFEST_BYTES = 1_000_000
MAX_FILE_BYTES = 500_000_000
MAX_GOLDEN_BYTES = 200_000_000
