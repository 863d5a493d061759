"""A frozen plan: what is written is read, what was changed is refused, what is signed is verified."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bmd_edge.errors import UsageError
from calibration.study.frozen import (
    another_scale,
    checked_plan,
    read_draft,
    read_plan,
    screened_films,
    sign_plan,
    signature_of,
    signer,
    verify_plan,
    write_draft,
    write_plan,
)
from tests.calibration.study.plans import draft, plan


def test_a_plan_is_read_back_equal_and_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, plan())
    assert read_plan(path) == plan()
    before = path.read_bytes()
    with pytest.raises(UsageError, match="not written over"):
        write_plan(path, plan(days=400))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "change", [{"days": 91}, {"aims": ["sensitivity=0.5+-0.4"]}, {"made": "2024-01-01T00:00:00+00:00"}, {"cuts": None}]
)
def test_a_changed_plan_is_refused(change: dict, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, plan())
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UsageError, match="its digest does not fit"):
        read_plan(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no plan"), ("[]", "no plan"), ("{}", "no plan: make it with `bmd-edge study freeze`"),
        ('{"schema": 1}', "no plan"), ('{"schema": 9}', "schema 9"), ("{" * 100_000, "no plan"),
    ],
)  # fmt: skip
def test_what_is_no_plan_is_refused_in_one_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(UsageError, match=said) as found:
        read_plan(tmp_path / "plan.json")
    assert "\n" not in str(found.value)
    with pytest.raises(UsageError, match="cannot be read"):
        read_plan(tmp_path / "none.json")


def test_an_aim_that_this_version_does_not_know_is_refused_before_films_are_read(tmp_path: Path) -> None:
    write_plan(tmp_path / "plan.json", plan(of=draft(("femoral_neck.coverage=0.9+-0.05",))))
    with pytest.raises(UsageError, match=r"coverage=0\.9\+-0\.05: write one of"):
        read_plan(tmp_path / "plan.json")


def test_a_draft_is_no_plan_and_a_plan_no_draft(tmp_path: Path) -> None:
    write_draft(tmp_path / "draft.json", draft())
    assert read_draft(tmp_path / "draft.json")["sizes"] == draft()["sizes"]
    with pytest.raises(
        UsageError, match=r"draft\.json is the draft of a plan .*; its place is `bmd-edge study freeze`"
    ):
        read_plan(tmp_path / "draft.json")
    write_plan(tmp_path / "plan.json", plan())
    for name in ("plan.json", "none.json"):
        with pytest.raises(UsageError):
            read_draft(tmp_path / name)


def test_a_draft_that_was_changed_by_hand_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "draft.json"
    write_draft(path, draft())
    facts = json.loads(path.read_text())
    for change in ({"sizes": facts["sizes"] | {"subjects": 12}}, {"sizes": {}}, {"digest": ""}, {"more": 1}):
        path.write_text(json.dumps(facts | change))
        with pytest.raises(UsageError, match="changed by hand"):
            read_draft(path)


def test_no_byte_of_a_plan_can_change_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, plan())
    raw = path.read_bytes()
    for place in range(len(raw)):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        try:
            read = read_plan(path)
        except UsageError:
            continue
        assert read == plan(), place


@pytest.mark.parametrize(
    ("scale", "maker", "told"),
    [
        ("lunar", "Hologic Horizon", True), ("hologic", "GE Lunar iDXA", True), ("hologic", "HOLOGIC Horizon", False),
        ("lunar", "iDXA", False), ("sbmd", "Hologic Horizon", False),
    ],
)  # fmt: skip
def test_a_scale_of_another_maker_is_warned_of(scale: str, maker: str, told: bool) -> None:
    found = another_scale(plan(scale=scale, dexa_maker=maker))
    assert (found or "").startswith(f"the scale is {scale}, the DEXA {maker}: ") == told


def test_a_page_or_signature_of_another_plan_is_not_written_over(tmp_path: Path) -> None:
    for name in ("plan.html", "plan.json.sig"):
        (tmp_path / name).write_text("kept")
        with pytest.raises(UsageError, match=f"{name} is there"):
            write_plan(tmp_path / "plan.json", plan())
        (tmp_path / name).unlink()
    for name in ("plan.html", "plan"):
        with pytest.raises(UsageError, match=r"ends in \.json"):
            write_plan(tmp_path / name, plan())


def openssl(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True)


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    private, public = tmp_path / "key.pem", tmp_path / "pub.pem"
    made = openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private)
    if made.returncode:
        pytest.skip("no openssl here")
    assert openssl("ec", "-in", private, "-pubout", "-out", public).returncode == 0
    return private, public


def test_a_signature_holds_for_its_plan_and_for_openssl(keys: tuple[Path, Path], tmp_path: Path) -> None:
    private, public = keys
    path = tmp_path / "plan.json"
    write_plan(path, plan())
    with pytest.raises(UsageError, match=r"plan\.json\.sig: is not there"):
        verify_plan(path, public)
    sign_plan(path, signer(private))
    verify_plan(path, public)
    assert checked_plan(path, public) == plan()
    assert openssl("dgst", "-sha256", "-verify", public, "-signature", signature_of(path), path).returncode == 0
    forged = replace(plan(), days=400, digest="")
    write_plan(tmp_path / "forged.json", replace(forged, digest=forged.own_digest))
    (tmp_path / "forged.json").replace(path)
    assert read_plan(path).days == 400  # whoever has no key cannot tell
    with pytest.raises(UsageError, match="does not hold"):
        checked_plan(path, public)
    for wrong in (private, path):
        with pytest.raises(UsageError, match="--plan-key"):
            verify_plan(path, wrong)
    with pytest.raises(UsageError, match="--key"):
        signer(public)
    with pytest.raises(UsageError, match="name it"):
        checked_plan(None, public)


def test_films_of_earlier_runs_are_read(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text('{"film_id": "b"}\n{"film_id": "a"}\n{"film_id": null}\n')
    assert screened_films([tmp_path, tmp_path]) == ("a", "b")
    with pytest.raises(UsageError, match="--screened"):
        screened_films([tmp_path / "none"])
