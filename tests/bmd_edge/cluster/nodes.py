"""A Ray cluster of real processes on this machine, each node with a folder of its own, in a network without others."""

import fcntl
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3]
_ALONE = ("unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")


def can_be_alone() -> bool:
    """Whether the system lets a command have a network and a table of processes of its own, and hide a folder."""
    hides = ("unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt")
    return bool(shutil.which("unshare")) and not subprocess.run([*_ALONE, *hides], capture_output=True).returncode


def alone(*command: object) -> list[str]:
    """Such a command; whatever it has started ends with it."""
    return [*_ALONE, *map(str, command)]


def loopback_up() -> None:
    """A network of one's own has its loopback down (netdevice(7): SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name, flags = struct.unpack("16sh", fcntl.ioctl(any_socket, 0x8913, struct.pack("16sh", b"lo", 0)))
        if not flags & 1:
            fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", name, flags | 1))


def guarded() -> None:
    """Let this process and all that it starts know a cluster's token, without which nobody may join or use it."""
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


class Nodes:
    """The nodes of a cluster below `folder`; use it as a context manager. A head without CPUs is started first."""

    def __init__(self, folder: Path, port: int = 6391) -> None:
        self._folder, self.address = folder, f"127.0.0.1:{port}"
        self._joins = (f"--address={self.address}", "--num-cpus=1")
        self._up = set[str]()

    def __enter__(self) -> "Nodes":
        assert self._ray("head", {}, "--head", f"--port={self.address.partition(':')[2]}", "--num-cpus=0").wait() == 0
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._folder.iterdir():
            self.kill(name.name)

    def start(self, *names: str, others: Mapping[str, Path] = {}, blind: Mapping[str, Path] = {}) -> None:
        """Start nodes of one CPU side by side: plain ones, ones with modules of their own, ones without a folder."""
        environments = {name: {"PYTHONPATH": f"{path}:{ROOT}"} for name, path in others.items()}
        for _ in range(3):  # Ray gives a node thirty seconds, which are too few beside other work
            started = {
                name: self._ray(name, environments.get(name, {}), *self._joins, hidden=blind.get(name))
                for name in (*names, *others, *blind)
                if name not in self._up
            }
            self._up |= {name for name, process in started.items() if not process.wait()}
            for name in started.keys() - self._up:
                self.kill(name)
        assert {*names, *others, *blind} <= self._up

    def _ray(
        self, name: str, environment: Mapping[str, str], *words: str, hidden: Path | None = None
    ) -> "subprocess.Popen[bytes]":
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        usual = ["--node-ip-address=127.0.0.1", "--disable-usage-stats", "--object-store-memory=100000000"]
        quiet = ["--include-log-monitor=false", *(["--include-dashboard=false"] if "--head" in words else [])]
        place = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", *words, *usual, *quiet, f"--temp-dir={folder}"]
        if hidden:
            command = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(hidden), *command]
        with (folder / "start.txt").open("wb") as said:
            return subprocess.Popen(command, env=place, stdout=said, stderr=subprocess.STDOUT, cwd=folder)

    def actors(self, name: str) -> list[int]:
        """Process ids of the actors that read films on a node."""
        return [pid for pid in _below(self._pids(name)) if _command(pid).startswith(b"ray::NodeCrew")]

    def kill(self, name: str) -> None:
        """What a power cut leaves of a node: nothing."""
        self._up.discard(name)
        pids = self._pids(name)
        for pid in [*pids, *_below(pids)]:
            _end(pid)

    def kill_actor(self, name: str) -> bool:
        """End the actor of a node; whether there was one."""
        return any([_end(pid) for pid in self.actors(name)])

    def _pids(self, name: str) -> list[int]:
        return [pid for pid in _all() if os.fsencode(f"{self._folder / name}/") in _command(pid)]

    def written(self) -> Iterator[tuple[Path, bytes]]:
        """Every file that Ray has written, with what is in it."""
        for path in sorted(self._folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield path, path.read_bytes()


def _all() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != os.getpid()]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _below(pids: Sequence[int]) -> list[int]:
    """Descendants of processes."""
    found = []
    for pid in pids:
        try:
            children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except OSError:
            continue
        found += [*children, *_below(children)]
    return found


def _end(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def until(condition: object, seconds: float = 60) -> None:
    """Wait until a function says yes."""
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)
