"""Compiled engines on disk: named by all they depend on, described in clear beside them, and sealed by this user.

An engine is machine code. One that was made for another network, GPU, driver or TensorRT gives wrong numbers or none,
and one that somebody else put there does what it likes; so it is loaded only where name, sidecar and seal are right.
The seal is an HMAC-SHA256 with a key that only this user can read, over the sidecar and the engine.

    <onnx>-<key>.engine   the engine; named by the first digits of the ONNX file's SHA-256 and of `Target.key`
    <onnx>-<key>.json     its sidecar: what it was made for, in clear
    key                   32 random bytes, mode 0600
    <key>.timing          TensorRT's own timing cache, one for each GPU, driver and TensorRT
"""

import contextlib
import dataclasses
import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bmd_edge.errors import EngineError
from bmd_edge.system.files import NotRegular, TooLarge, open_file, read_file, replace_bytes
from bmd_edge.system.places import engine_cache

REMEDY = "run `bmd-edge compile BUNDLE --device tensorrt`"
_FORMAT = 1
_MAX_BYTES = 2_000_000_000
_KEY_BYTES = 32
_NOT_ALONE = f"the key of the engine cache is not this user's alone; {REMEDY}"


@dataclass(frozen=True, slots=True)
class EngineTarget:
    """All that an engine depends on; `options` are those of the build, `driver` names the kernel module too."""

    onnx_sha256: str
    tensorrt: str
    gpu: str
    compute_capability: str
    driver: str
    options: str

    @property
    def key(self) -> str:
        """SHA-256 of all of it, hex."""
        return hashlib.sha256(_canonical({"format": _FORMAT, **dataclasses.asdict(self)})).hexdigest()

    @property
    def machine_key(self) -> str:
        """SHA-256 of what does not depend on the network, hex."""
        return dataclasses.replace(self, onnx_sha256="").key


class EngineCache:
    """The folder of compiled engines; None is the user's own."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or engine_cache()

    def read(self, target: EngineTarget) -> bytes:
        """The engine made for exactly this target by this user.

        Raises EngineError, saying what is missing, stale, edited or foreign, and the command that mends it.
        """
        engine, sidecar = self._paths(target)
        if not engine.is_file() or not sidecar.is_file():
            raise EngineError(f"{self._why_missing(target)}; {REMEDY}")
        plan, text = _read(engine), _read(sidecar)
        try:
            facts: dict[str, Any] = json.loads(text)
            seal = str(facts.pop("seal"))
        except (ValueError, KeyError, AttributeError, TypeError):
            raise EngineError(f"the compiled engine's sidecar cannot be read; {REMEDY}") from None
        if not hmac.compare_digest(seal, _seal(self._key(), facts, plan)):
            raise EngineError(f"the compiled engine or its sidecar was edited, or made by somebody else; {REMEDY}")
        if facts.get("target") != dataclasses.asdict(target):
            raise EngineError(f"the compiled engine was made for something else; {REMEDY}")
        return plan

    def write(self, target: EngineTarget, plan: bytes, about: dict[str, str]) -> None:
        """Store an engine so that a crash leaves the old one, the new one or none that would be loaded.

        `about` goes into the sidecar for people to read.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            key = self._key()
        except EngineError:  # none yet, or one that others may know: what it sealed is not to be loaded again
            key = os.urandom(_KEY_BYTES)
            self._replace("key", key)
        facts = {"format": _FORMAT, "about": about, "target": dataclasses.asdict(target), "bytes": len(plan)}
        sealed = {**facts, "seal": _seal(key, facts, plan)}
        engine, sidecar = self._paths(target)
        self._replace(engine.name, plan)
        self._replace(sidecar.name, json.dumps(sealed, indent=1).encode() + b"\n")

    def timing(self, target: EngineTarget) -> bytes:
        """TensorRT's timing cache for this machine, empty where there is none."""
        path = self.folder / f"{target.machine_key[:16]}.timing"
        return _read(path) if path.is_file() else b""

    def write_timing(self, target: EngineTarget, data: bytes) -> None:
        """Keep TensorRT's timing cache: the next build on this machine is faster."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._replace(f"{target.machine_key[:16]}.timing", data)

    def _replace(self, name: str, data: bytes) -> None:
        replace_bytes(self.folder / name, data, mode=0o600)

    def _paths(self, target: EngineTarget) -> tuple[Path, Path]:
        name = f"{target.onnx_sha256[:16]}-{target.key[:16]}"
        return self.folder / f"{name}.engine", self.folder / f"{name}.json"

    def _key(self) -> bytes:
        try:
            with open_file(self.folder / "key") as file:
                facts, key = os.fstat(file.fileno()), file.read(_KEY_BYTES + 1)
        except FileNotFoundError:
            raise EngineError(f"the engine cache has no key, so its engines are not this user's; {REMEDY}") from None
        except (NotRegular, PermissionError):
            raise EngineError(_NOT_ALONE) from None
        if facts.st_uid != os.getuid() or facts.st_mode & 0o077:
            raise EngineError(_NOT_ALONE)
        if len(key) != _KEY_BYTES:
            raise EngineError(f"the key of the engine cache is damaged; {REMEDY}")
        return key

    def _why_missing(self, target: EngineTarget) -> str:
        for other in self._targets():
            if other.get("onnx_sha256") == target.onnx_sha256:
                here = dataclasses.asdict(target)
                changes = [
                    f"{name} {other.get(name)}, here {value}"
                    for name, value in here.items()
                    if other.get(name) != value
                ]
                return f"the compiled engine is stale: it was made for {'; '.join(changes) or 'another file name'}"
        return "no engine was compiled for this network"

    def _targets(self) -> Iterator[dict[str, Any]]:
        for path in sorted(self.folder.glob("*.json")):
            with contextlib.suppress(ValueError, KeyError, TypeError, EngineError):  # only to say why; not loaded
                yield dict(json.loads(_read(path))["target"])


def _seal(key: bytes, facts: dict[str, Any], plan: bytes) -> str:
    return hmac.new(key, _canonical(facts) + b"\n" + plan, hashlib.sha256).hexdigest()


def _canonical(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()


def _read(path: Path) -> bytes:
    """The bytes of a regular file, never through a link; EngineError else."""
    try:
        return read_file(path, _MAX_BYTES)
    except (NotRegular, TooLarge):
        raise EngineError(f"a file of the engine cache is not a compiled engine's; {REMEDY}") from None
    except OSError as error:
        raise EngineError(f"the engine cache cannot be read: {error.strerror}; {REMEDY}") from None
