"""Figures as Prometheus reads them, and nothing in them that names anybody."""

import re
from pathlib import Path

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal import deliveries
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page.metrics import metrics
from bmd_edge.clinic.page.tally import Tally
from bmd_edge.clinic.setup.certificates import make_authority, make_certificate
from tests.support.clinic import box, quick_keys
from tests.support.clinic.films_of_a_day import CANARIES

# https://prometheus.io/docs/instrumenting/exposition_formats/
_LABEL = r'[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*"'
_SAMPLE = re.compile(rf"([a-zA-Z_:][\w:]*)(?:{{({_LABEL}(?:,{_LABEL})*)}})? (\S+)")
_COMMENT = re.compile(r"# (?:HELP ([\w:]+) .+|TYPE ([\w:]+) (?:counter|gauge|histogram))")


def read(text: str) -> dict[str, float]:
    """Each sample by its name and labels; every line must be one of the format's."""
    assert text.endswith("\n")
    found = {}
    for line in text.splitlines():
        if not _COMMENT.fullmatch(line):
            sample = _SAMPLE.fullmatch(line)
            assert sample, line
            name = f"{sample[1]}{{{sample[2]}}}" if sample[2] else sample[1]
            assert name not in found, name
            found[name] = float(sample[3])
    return found


def test_what_is_measured_has_the_names_of_the_manual(config: Config, journal: Journal) -> None:
    said = read(metrics(config, journal, Tally()))
    assert said['bmd_edge_films_total{state="received",code=""}'] == 7
    assert said['bmd_edge_films_total{state="ready",code="implant"}'] == 1
    assert said['bmd_edge_deliveries{state="committed",destination="main"}'] == 2
    assert said['bmd_edge_deliveries{state="ready",destination="main"}'] == 10
    assert 0 < said["bmd_edge_oldest_unsent_seconds"] < 7200
    assert said["bmd_edge_free_bytes"] > 0
    assert said['bmd_edge_stage_seconds_count{stage="reading"}'] == 7
    assert said['bmd_edge_stage_seconds_count{stage="sending"}'] == 4
    for stage in ("waiting", "reading", "sending"):
        classes = [n for name, n in said.items() if name.startswith(f'bmd_edge_stage_seconds_bucket{{stage="{stage}"')]
        assert classes == sorted(classes)
        assert classes[-1] == said[f'bmd_edge_stage_seconds_count{{stage="{stage}"}}']
    families = {re.split(r"[{ ]", name)[0] for name in said}
    families = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in families}
    assert families == {
        "bmd_edge_films_total", "bmd_edge_deliveries", "bmd_edge_oldest_unsent_seconds", "bmd_edge_free_bytes",
        "bmd_edge_stage_seconds", "bmd_edge_page_closed_total", "bmd_edge_page_clients_gone_total",
    }  # fmt: skip


def test_no_label_names_a_film_an_object_or_a_person(config: Config, journal: Journal, keys: dict[str, str]) -> None:
    journal.record("refused", door="stow", unit="", code='a "quoted"\nline \\', status="0124")
    text = metrics(config, journal, Tally())
    read(text)
    uids = [row["sop_uid"] for row in journal.rows("SELECT sop_uid FROM film")]
    uids += [row["uid"] for row in journal.rows("SELECT uid FROM object")]
    for name in (*CANARIES, "ACC-", *uids, *(key[:12] for key in keys.values())):
        assert name not in text


def test_what_has_befallen_the_page_is_counted(config: Config, journal: Journal) -> None:
    journal.record("page_closed")
    said = read(metrics(config, journal, Tally(), clients_gone=7))
    assert (said["bmd_edge_page_closed_total"], said["bmd_edge_page_clients_gone_total"]) == (1, 7)


def test_nothing_waits_is_0(config: Config, journal: Journal) -> None:
    for one in deliveries.lease(journal, "main"):
        deliveries.sent(journal, one.uid, "main", "0000")
    assert read(metrics(config, journal, Tally()))["bmd_edge_oldest_unsent_seconds"] == 0


def test_the_days_of_certificates_are_told(tmp_path: Path) -> None:
    config = box(tmp_path, stow_tls="127.0.0.1:8443")
    with Journal(config.root) as journal:
        assert not any("certificate" in name for name in read(metrics(config, journal, Tally())))  # `doctor` says why
        with quick_keys():
            make_authority(config.root / "tls")
            make_certificate(config.root / "tls", "box", ("127.0.0.1",), days=100)
        said = read(metrics(config, journal, Tally()))
    assert said['bmd_edge_certificate_days{certificate="box.crt"}'] == pytest.approx(99, abs=1)
    assert said['bmd_edge_certificate_days{certificate="ca.crt"}'] > 3000
