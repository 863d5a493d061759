"""Films measured through a server give what the runtime gives; what the server has otherwise is an error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bmd_edge
from bmd_edge import open_bundle
from bmd_edge.errors import EngineError
from export.servers.triton import write_triton
from export.servers.triton_client import triton_screener
from tests.export.servers.stand_in_server import serving
from tests.support.bundles import tiny_bundle

DEMO = sorted((Path(bmd_edge.__file__).parent / "data" / "demo").iterdir())


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("triton") / "repository"
    write_triton(open_bundle(), out)
    return out


def test_every_demo_film_gives_the_shipped_answer(repository: Path) -> None:
    with serving(repository) as (address, service), triton_screener(open_bundle(), address) as there:
        with open_bundle().screener(device="cpu", precision="fp32") as here:
            for film in DEMO:
                found, wanted = there.read(film), here.read(film)
                assert (found.status, found.reason, found.precision) == (wanted.status, wanted.reason, "fp32")
                assert found.device == "function"
                assert [(hip.side, hip.reason) for hip in found.hips] == [(hip.side, hip.reason) for hip in wanted.hips]
                for ours, theirs in zip(wanted.hips, found.hips, strict=True):
                    for one, other in zip(ours.estimates, theirs.estimates, strict=True):
                        assert other.bmd_gcm2 == pytest.approx(one.bmd_gcm2, abs=1e-4)
                        assert other.flags == one.flags
        assert {name for name, _ in service.batches} == {"finder", "bmd"}
        assert max(batch for _, batch in service.batches) >= 3  # three scales of a hip in one call


def test_another_bundle_a_silent_server_and_a_wrong_network_are_refused(repository: Path, tmp_path: Path) -> None:
    tiny = tmp_path / "tiny"
    write_triton(tiny_bundle(tmp_path / "b"), tiny)
    with serving(tiny) as (address, _), pytest.raises(EngineError, match="another bundle: give that bundle with"):
        triton_screener(open_bundle(), address)
    with pytest.raises(EngineError, match="see that it runs and has loaded the model"):
        triton_screener(open_bundle(), "127.0.0.1:9")
    with serving(repository) as (address, service):
        finder = service.networks["finder"]
        service.networks = {"finder": finder}
        with pytest.raises(EngineError, match="'bmd' is not found; see that it runs"):
            triton_screener(open_bundle(), address)
        service.networks["bmd"] = finder
        with pytest.raises(EngineError, match="the inputs or outputs of bmd are not those of the manifest"):
            triton_screener(open_bundle(), address)


def test_outputs_that_are_not_the_golden_ones_are_refused(repository: Path) -> None:
    with serving(repository) as (address, service):
        run = service.networks["bmd"].run
        service.networks["bmd"].run = lambda feeds: {name: 1.01 * values for name, values in run(feeds).items()}
        with pytest.raises(EngineError, match="self-test of bmd in fp32 on function failed: bmd is off by"):
            triton_screener(open_bundle(), address)


def client(*words: object) -> subprocess.CompletedProcess[str]:
    place = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-m", "export.servers.triton_client", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=place, check=False)


def test_the_example_prints_reports(repository: Path) -> None:
    with serving(repository) as (address, _):
        done = client(*DEMO[:2], "--address", address)
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == [path.name for path in DEMO[:2]]
    done = client(DEMO[0], "--address", "127.0.0.1:9")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("bmd-edge: Triton at 127.0.0.1:9: ")
    assert len(done.stderr.splitlines()) == 1
