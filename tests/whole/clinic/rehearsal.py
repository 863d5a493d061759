"""The clinic page's steps in a bare Debian: python -m tests.whole.clinic.rehearsal DEBIAN --out FILE

DEBIAN is a fresh folder of `debootstrap --variant=minbase bookworm DEBIAN`. The commands of the page's section "From a
fresh Debian 12 to the first result" are taken from it and run there word by word, by root; in place of `systemctl`,
which needs a booted machine, a script starts what the units of systemd name, as the user that they name. Then the
X-ray unit of the page sends a demo film by TLS with its certificate, and the archive of the page (both DCMTK's, on a
network of their own) must have both objects.
"""

import argparse
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "bmd_edge" / "clinic" / "README.md"
FILM = ROOT / "bmd_edge" / "data" / "demo" / "left_hip.dcm"
AUTHORITIES = Path("/usr/local/share/ca-certificates")
"""What this machine trusts beside Debian's own: a proxy to the registries may be signed by one of them."""
ADDRESSES = ("10.20.0.5", "10.20.0.11", "10.30.0.2")
"""The box's, the unit's and the archive's, as the page has them."""
_WITHIN_S = 600
_SYSTEMCTL = r"""#!/bin/bash
# Starts what units of systemd name; everything else that the page asks of systemctl needs a booted machine.
[ "$1 $2" = "enable --now" ] || exit 0
for unit in "${@:3}"; do
  file=/etc/systemd/system/$unit.service
  user=$(sed -n 's/^User=//p' $file)
  for scratch in $(sed -n 's/^RuntimeDirectory=//p' $file); do install -d -m 700 -o $user /run/$scratch; done
  (umask 077; exec setsid runuser -u $user -- $(sed -n 's/^ExecStart=//p' $file)) < /dev/null &> /tmp/$unit.out &
done
answers='(: < /dev/tcp/127.0.0.1/4242 && : < /dev/tcp/10.20.0.5/2762) 2> /dev/null'
timeout 120 bash -c "until $answers; do sleep 0.2; done"
"""


def steps(page: str) -> list[str]:
    """The commands of the section, whole: a line that ends with a backslash goes on."""
    section = page.split("## From a fresh Debian 12 to the first result")[1].split("\n## ")[0]
    return [one.replace("\\\n", "") for one in re.findall(r"^# ((?:.*\\\n)*.*)$", section, re.MULTILINE)]


@contextmanager
def mounted(debian: Path) -> Iterator[None]:
    """The kernel's folders in the tree."""
    with ExitStack() as stack:
        for name in ("proc", "dev"):
            subprocess.run(["mount", "--bind", f"/{name}", debian / name], check=True)
            stack.callback(subprocess.run, ["umount", "-l", debian / name], check=True)
        yield


@contextmanager
def network(name: str) -> Iterator[list[str]]:
    """A network with the page's addresses and nothing else; yields what runs a command in it."""
    subprocess.run(["ip", "netns", "add", name], check=True)
    inside = ["ip", "netns", "exec", name]
    try:
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        for address in ADDRESSES:
            subprocess.run([*inside, "ip", "addr", "add", f"{address}/32", "dev", "lo"], check=True)
        yield inside
    finally:
        pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=True).stdout
        if pids.split():
            subprocess.run(["kill", *pids.split()], check=False)
        subprocess.run(["ip", "netns", "del", name], check=True)


def rehearse(debian: Path) -> dict[str, Any]:
    """Run the steps, and then a film through the box; raises CalledProcessError where a step fails."""
    (debian / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")  # a folder starts no services
    (debian / "usr/local/sbin/systemctl").write_text(_SYSTEMCTL)
    for name in ("usr/sbin/policy-rc.d", "usr/local/sbin/systemctl"):
        (debian / name).chmod(0o755)
    shutil.copytree(ROOT, debian / "opt/bmd-edge/checkout", ignore=shutil.ignore_patterns(".*", "__pycache__"))
    shutil.copy("/etc/resolv.conf", debian / "etc/resolv.conf")
    if AUTHORITIES.is_dir():
        shutil.copytree(AUTHORITIES, debian / AUTHORITIES.relative_to("/"), dirs_exist_ok=True)
    taken: dict[str, float] = {}
    start = time.monotonic()
    with mounted(debian), network("rehearsal") as inside, ExitStack() as peers:
        for step in ["apt-get update", *steps(PAGE.read_text(encoding="utf-8"))]:
            began = time.monotonic()
            downloads = step.startswith("apt-get") or "pip install" in step
            place = [] if downloads else inside
            command = step.replace("apt-get install", "apt-get install -y")
            done = subprocess.run([*place, "chroot", debian, "bash", "-c", command], check=False)
            if done.returncode and not step.endswith("doctor"):  # which finds no archive yet
                raise subprocess.CalledProcessError(done.returncode, step)
            taken[step.strip()] = round(time.monotonic() - began, 1)
        got = debian.parent / "archive"
        shutil.rmtree(got, ignore_errors=True)
        got.mkdir()
        archive = subprocess.Popen([*inside, "storescp", "-aet", "PACS", "-od", got, "11112"])
        peers.callback(archive.wait)
        peers.callback(archive.terminate)
        _send(debian, inside)
        began = time.monotonic()
        while len(list(got.iterdir())) < 2 and time.monotonic() - began < _WITHIN_S:
            time.sleep(0.2)
        whole = time.monotonic() - start
        objects = len(list(got.iterdir()))
    return {"seconds": taken, "seconds_to_the_first_result": round(whole, 1), "objects_in_the_archive": objects}


def _send(debian: Path, inside: list[str]) -> None:
    """DCMTK's sender with what the page has the IT bring to the unit."""
    tls = debian / "var/lib/bmd-edge/tls"
    command = ["storescu", "-xt", "-aet", "XRAY1", "-aec", "BMDEDGE"]  # -xt: JPEG-LS, as the film is
    command += ["+tls", tls / "xray1.key", tls / "xray1.crt", "+cf", tls / "ca.crt"]
    subprocess.run([*inside, *command, "10.20.0.5", "2762", FILM], check=True)


def main() -> None:
    """Rehearse and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("debian", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    found = rehearse(options.debian.resolve())
    command = "python -m tests.whole.clinic.rehearsal DEBIAN"
    said = {"command": command, "film": "synthetic, of the demo", **found}
    options.out.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
