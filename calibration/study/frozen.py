"""The plan of a study as one JSON file, frozen before its results: written, read, signed, verified.

The digest in the file finds a change; only a signature finds who writes a changed plan with a new digest.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bmd_edge.bundle.strict_json import parse, read_json
from bmd_edge.errors import BundleError, MissingExtra, UsageError
from bmd_edge.system.files import replace_bytes, replace_file
from bmd_edge.system.own_files import mistaken
from bmd_edge.table.film_table import SCALES
from bmd_edge.version import __version__
from calibration.study.aims import aims

SCHEMA = 1
REFUSALS = ("against", "left_out")
"""How a film without a number counts for sensitivity and specificity: as a wrong answer, or not at all."""

CUTS = ("low_suspected_t", "refer_for_dxa_t")
"""Of the headline, as T-scores."""

MAX_DAYS = 3650
_MOST_BYTES = 64 * 1024**2
_DRAFT = "bmd-edge study plan, not frozen"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """What was laid down. `made` is a UTC time; `cuts` are the headline's T-scores; `aims` as written for --aim, the
    first is the primary endpoint; `subgroups` are divisions of `validate` (sex, age, ...); `days` is the most that may
    lie between film and DEXA; `screened` names films by film_id that had been screened before.

    `digest` is the SHA-256 of everything else in the file.
    """

    schema: int
    made: str
    version: str
    bundle: str
    bundle_digest: str
    precision: str
    cuts: dict[str, float] | None
    aims: tuple[str, ...]
    subjects: int
    enrolled: int
    sizes: dict[str, Any]
    assumptions: dict[str, Any]
    subgroups: tuple[str, ...]
    exclusions: tuple[str, ...]
    days: int
    scale: str
    dexa_maker: str
    refusals: str
    screened: tuple[str, ...]
    digest: str = ""

    @property
    def own_digest(self) -> str:
        """The digest that fits what the plan says."""
        return _digest(asdict(self) | {"digest": ""})


def _digest(facts: Mapping[str, Any]) -> str:
    """SHA-256 of facts as JSON, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def write_draft(path: Path, facts: Mapping[str, Any]) -> None:
    """Write what `study plan` has found, for `study freeze`, with a digest that finds a change by hand."""
    facts = {"kind": _DRAFT, "schema": SCHEMA, **facts}
    with replace_file(path) as file:
        file.write(json.dumps(facts | {"digest": _digest(facts)}, indent=1) + "\n")


def read_draft(path: Path) -> dict[str, Any]:
    """What `study plan` has written; UsageError where it is none, or was changed."""
    if said := mistaken(path, "draft"):
        raise UsageError(said)
    try:
        facts = read_json(_bytes(path), path.name)
    except BundleError as error:
        raise UsageError(f"{error}: make the draft with `bmd-edge study plan`") from error
    if not isinstance(facts, dict) or facts.get("kind") != _DRAFT or facts.get("schema") != SCHEMA:
        raise UsageError(f"{path.name}: no draft of a plan of this version: make it with `bmd-edge study plan`")
    if facts.pop("digest", None) != _digest(facts):
        raise UsageError(
            f"{path.name}: the draft was changed by hand, so its sizes need not fit its aims: make it with"
            " `bmd-edge study plan`"
        )
    return facts


def frozen(draft: Mapping[str, Any], now: datetime, **laid_down: Any) -> StudyPlan:
    """The plan of a draft and of what the clinic lays down beside it, with time and digest."""
    plan = StudyPlan(
        schema=SCHEMA,
        made=now.astimezone(UTC).isoformat(timespec="seconds"),
        version=__version__,
        aims=tuple(one["aim"] for one in draft["sizes"]["aims"]),
        subjects=draft["sizes"]["subjects"],
        enrolled=draft["sizes"]["enrolled"],
        **{name: draft[name] for name in ("bundle", "bundle_digest", "precision", "cuts", "sizes", "assumptions")},
        **laid_down,
    )
    return replace(plan, digest=plan.own_digest)


def another_scale(plan: StudyPlan) -> str | None:
    """A warning where the name of the DEXA's maker is that of another scale than the plan's; None where it is not."""
    named = [scale for scale in SCALES if scale in plan.dexa_maker.casefold()]
    if not named or plan.scale == "sbmd" or plan.scale in named:
        return None
    return (
        f"the scale is {plan.scale}, the DEXA {plan.dexa_maker}: a device tells BMD on its maker's own scale. If this"
        " is a slip, freeze another plan with the right --scale, and send only that."
    )


def check_place(path: Path) -> None:
    """Raise UsageError where no plan can be written: a frozen plan, its page and its signature are not written over."""
    if path.suffix != ".json":
        raise UsageError(f"--out {path.name}: a plan's file ends in .json, its page beside it in .html")
    for one in (path, path.with_suffix(".html"), signature_of(path)):
        if one.exists():
            raise UsageError(f"{one.name} is there, and a frozen plan is not written over: give another --out")


def write_plan(path: Path, plan: StudyPlan) -> None:
    """Write the plan, atomically; errors as of `check_place`."""
    check_place(path)
    with replace_file(path) as file:
        file.write(json.dumps(asdict(plan), indent=1, ensure_ascii=False) + "\n")


def read_plan(path: Path) -> StudyPlan:
    """Read a frozen plan.

    Raises:
        UsageError: it is none, of another schema, or was changed after it was frozen.
    """
    if said := mistaken(path, "plan"):
        raise UsageError(said)
    try:
        facts = read_json(_bytes(path), path.name)
        if isinstance(facts, dict) and facts.get("schema") != SCHEMA:
            what = (
                f"a plan of schema {facts['schema']}, this version reads {SCHEMA}" if "schema" in facts else "no plan"
            )
            raise UsageError(f"{path.name}: {what}: make it with `bmd-edge study freeze`")
        plan = parse(StudyPlan, facts, path.name)
        datetime.fromisoformat(plan.made)
        for text in plan.aims:
            aims(text)
    except (BundleError, ValueError) as error:
        raise UsageError(f"{error}: no plan that `bmd-edge study freeze` has written") from error
    if plan.digest != plan.own_digest:
        raise UsageError(f"{path.name}: the plan was changed after it was frozen, its digest does not fit: freeze anew")
    return plan


def checked_plan(path: Path | None, public_key: Path | None) -> StudyPlan | None:
    """The plan, if one is given, with its signature verified where a key is given; errors as of both."""
    if path is None:
        if public_key is not None:
            raise UsageError("--plan-key verifies a --plan: name it")
        return None
    plan = read_plan(path)
    if public_key is not None:
        verify_plan(path, public_key)
    return plan


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{path.name}: too large for a plan")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path.name}: cannot be read ({error.strerror}): `bmd-edge study plan` makes a draft, `bmd-edge study"
            " freeze` a plan"
        ) from error


# -- films that were there before -----------------------------------------------------------------------------------


def screened_films(runs: Iterable[Path]) -> tuple[str, ...]:
    """Film_ids of screening runs (folders of `bmd-edge screen`); UsageError where a folder is none."""
    found: set[str] = set()
    for run in runs:
        try:
            lines = (run / "results.jsonl").read_text(encoding="utf-8").splitlines()
            found |= {str(name) for line in lines if (name := json.loads(line).get("film_id"))}
        except (OSError, ValueError, AttributeError) as error:
            raise UsageError(f"--screened {run.name}: no folder that `bmd-edge screen` has written") from error
    return tuple(sorted(found))


# -- signature ------------------------------------------------------------------------------------------------------


def signature_of(path: Path) -> Path:
    """Where the signature of a plan lies."""
    return path.with_name(path.name + ".sig")


def signer(private_key: Path) -> Callable[[bytes], bytes]:
    """What signs bytes with an elliptic-curve key (PEM), as `openssl dgst -sha256 -sign` does; it has signed once.

    Raises:
        UsageError: the key is none.
        MissingExtra: the library is not installed.
    """
    ec, hashes, serialization = _library()
    try:
        key = serialization.load_pem_private_key(private_key.read_bytes(), None)
        key.sign(b"", ec.ECDSA(hashes.SHA256()))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"--key {private_key.name}: no private elliptic-curve key in PEM without passphrase"
        ) from error
    return lambda raw: bytes(key.sign(raw, ec.ECDSA(hashes.SHA256())))


def sign_plan(path: Path, sign: Callable[[bytes], bytes]) -> None:
    """Sign the bytes of a plan; the signature lies beside it."""
    replace_bytes(signature_of(path), sign(path.read_bytes()))


def verify_plan(path: Path, public_key: Path) -> None:
    """Check the signature of a plan; UsageError where there is none, or it does not hold."""
    ec, hashes, serialization = _library()
    from cryptography.exceptions import InvalidSignature

    try:
        key = serialization.load_pem_public_key(public_key.read_bytes())
        key.verify(signature_of(path).read_bytes(), path.read_bytes(), ec.ECDSA(hashes.SHA256()))
    except FileNotFoundError as error:
        raise UsageError(f"{Path(str(error.filename)).name}: is not there; the plan cannot be verified") from error
    except InvalidSignature as error:
        raise UsageError(f"{path.name}: the signature does not hold: changed, or signed with another key") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"--plan-key {public_key.name}: no public elliptic-curve key in PEM") from error


def _library() -> tuple[Any, Any, Any]:
    try:
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ModuleNotFoundError as error:
        raise MissingExtra("cryptography", "sign") from error
    return ec, hashes, serialization
