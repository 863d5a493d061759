"""Mutants of valid films: what becomes of a film with damaged bytes, counted by where the damage lies.

    python -m tests.support.mutants --n 50000

Each mutant is one small valid film with one to three mutations in ONE place: the header, the encapsulation, the tables
of a codestream, its coded data, or uncompressed pixels. It must end as a film or a typed refusal, quickly. A film that
is read with other pixels, and with no flag that the sound film lacks, is a silent change. DICOM has no checksum: a
change of uncompressed pixels, of quantization tables or of coded data that decodes to possible values cannot be told
from another film, so the places are counted apart.

Mutants are made in numbered blocks from a seed and finished blocks are kept beside the result, so a stopped run goes
on with the same command and ends with the same counts. The bombs of `tests/support/bombs.py` are measured after them.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from bmd_edge import __version__
from bmd_edge.dicom.elements import PIXEL_DATA
from bmd_edge.dicom.header import read_header
from bmd_edge.errors import FilmRefused
from bmd_edge.film.film import Film
from bmd_edge.film.read import read_film
from tests.support import films
from tests.support.bombs import measured

RESULT = Path(__file__).parents[2] / "tests" / "results" / "mutants.json"
BLOCK = 500
PLACES = ("header", "encapsulation", "tables", "coded", "pixels")
OUTCOMES = ("refused", "same_pixels", "flagged", "silent", "untyped")
_FLIP, _OVERWRITE, _DELETE, _REPEAT, _ZERO = range(5)


@dataclass(frozen=True)
class Sound:
    """A valid film, what it reads as, and the byte spans of each place."""

    name: str
    data: bytes
    film: Film
    places: dict[str, list[tuple[int, int]]]
    coarsest_mm: float


@cache
def sound_films() -> tuple[Sound, ...]:
    """One film of 64 x 48 pixels per transfer syntax, some with 8 or 16 bits, reduced as in use, or in fragments."""
    made = []
    for syntax in (*films.NATIVE, *films.LOSSLESS, *films.LOSSY):
        bits = 8 if syntax == films.JPEG_BASELINE else 12
        made.append(_sound(syntax, bits))
    made += [_sound(films.EXPLICIT, 16), _sound(films.RLE, 8), _sound(films.JPEG_LS, 8), _sound(films.HTJ2K_RPCL, 16)]
    made += [_sound(syntax, 12, coarsest_mm=0.3) for syntax in (films.EXPLICIT, films.JPEG_2000, films.HTJ2K_LOSSLESS)]
    return (*made, _sound(films.JPEG_2000_LOSSLESS, 12, fragments=5))


def _sound(syntax: str, bits: int, fragments: int = 1, coarsest_mm: float = 0.0) -> Sound:
    data = films.dicom_bytes(films.pixels(64, 48, bits), syntax, bits, fragments)
    name = f"{syntax} {bits} bit" + (f" {fragments} fragments" if fragments > 1 else "")
    name += f" reduced to {coarsest_mm} mm" if coarsest_mm else ""
    return Sound(name, data, read_film(data, coarsest_mm=coarsest_mm), _places(data, syntax), coarsest_mm)


def _places(data: bytes, syntax: str) -> dict[str, list[tuple[int, int]]]:
    if syntax == films.DEFLATED:  # the pixels lie in the one deflate stream
        start = data.index(films.DEFLATED.encode()) + len(films.DEFLATED) + 60
        return {"header": [(132, start)], "coded": [(start, len(data))]}
    header, _ = read_header(data)
    element = header.element(PIXEL_DATA)
    assert element is not None
    head = 8 if syntax == films.IMPLICIT else 12
    places = {"header": [(132, element.start - head)]}
    if element.fragments is None:
        return {**places, "pixels": [(element.start, element.end)]}
    first = element.fragments[0][0]
    tables = 64 if syntax == films.RLE else _tables_end(data[first : element.end])
    ends = [*(start for start, _ in element.fragments[1:]), element.end + 8]  # the sequence delimiter last
    gaps = [(end, after) for (_, end), after in zip(element.fragments, ends, strict=True)]
    coded = [(max(start, first + tables), end) for start, end in element.fragments if end > first + tables]
    return {
        **places,
        "encapsulation": [(element.start - head, first), *gaps],
        "tables": [(first, first + tables)],
        "coded": coded,
    }


def _tables_end(stream: bytes) -> int:
    """Where the coded data of a JPEG, JPEG-LS or JPEG 2000 codestream begin: after SOS or SOD."""
    if stream[:2] == b"\xff\x4f":
        return stream.index(b"\xff\x93") + 2
    start = stream.index(b"\xff\xda") + 2
    return start + int.from_bytes(stream[start : start + 2], "big")


def mutant(sound: Sound, place: str, rng: np.random.Generator) -> bytes:
    """Damage one to three spots of `place`: a bit, four bytes, or a few bytes deleted, repeated or zeroed."""
    raw = bytearray(sound.data)
    spans = sound.places[place]
    sizes = np.array([end - start for start, end in spans])
    for _ in range(rng.integers(1, 4)):
        start, end = spans[rng.choice(len(spans), p=sizes / sizes.sum())]
        at = min(int(rng.integers(start, end)), len(raw) - 1)  # an earlier deletion moved the end
        what, length = rng.integers(5), int(rng.integers(1, 40))
        if what == _FLIP:
            raw[at] ^= 1 << int(rng.integers(8))
        elif what == _OVERWRITE:
            new = rng.integers(0, 256, min(4, end - at), np.uint8).tobytes()
            raw[at : at + len(new)] = new
        elif what == _DELETE:
            del raw[at : min(at + length % 8 + 1, end)]
        elif what == _REPEAT:
            raw[at:at] = raw[at : min(at + length, end)]
        else:
            raw[at : min(at + length, end)] = bytes(max(min(at + length, end) - at, 0))
    return bytes(raw)


def outcome(sound: Sound, data: bytes) -> str:
    """Tell what became of a mutant: one of `OUTCOMES`."""
    try:
        film = read_film(data, coarsest_mm=sound.coarsest_mm)
    except FilmRefused:
        return "refused"
    except Exception:  # noqa: BLE001 - what must not happen is what is counted
        return "untyped"
    if film.stored.shape == sound.film.stored.shape and np.array_equal(film.stored, sound.film.stored):
        return "same_pixels"
    return "flagged" if set(film.flags) - set(sound.film.flags) else "silent"


def run_block(seed: int, number: int, size: int) -> dict[str, Any]:
    """Make and read the mutants of one block."""
    rng = np.random.default_rng([seed, number])
    counts: Counter[str] = Counter()
    untyped: list[str] = []
    slowest = 0.0
    for i in range(size):
        sound = sound_films()[(number * size + i) % len(sound_films())]
        place = str(rng.choice(list(sound.places)))
        data = mutant(sound, place, rng)
        start = time.perf_counter()
        end = outcome(sound, data)
        slowest = max(slowest, time.perf_counter() - start)
        if data == sound.data:
            continue
        counts[f"{sound.name}|{place}|{end}"] += 1
        if end == "untyped":
            untyped.append(f"block {number}, mutant {i}: {sound.name}, {place}")
    return {"number": number, "counts": dict(counts), "untyped": untyped, "slowest_s": slowest}


def run(n: int, seed: int, jobs: int, kept: Path) -> list[dict[str, Any]]:
    """Run all blocks that `kept` (JSON Lines) does not hold yet; a process that dies ends the run with an error."""
    blocks: dict[int, dict[str, Any]] = {}
    if kept.exists():
        blocks = {block["number"]: block for block in map(json.loads, kept.read_text().splitlines())}
    todo = [number for number in range(-(-n // BLOCK)) if number not in blocks]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn) as pool, kept.open("a", encoding="utf-8") as file:
        for block in pool.map(run_block, [seed] * len(todo), todo, [BLOCK] * len(todo)):
            blocks[block["number"]] = block
            file.write(json.dumps(block) + "\n")
            file.flush()
    return [blocks[number] for number in sorted(blocks)]


def summary(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """Add the blocks up: counts by place, and by film and place."""
    total: Counter[tuple[str, str, str]] = Counter()
    for block in blocks:
        for key, count in block["counts"].items():
            name, place, end = key.split("|")
            total[name, place, end] += count
    by_place = {place: _row(total, None, place) for place in PLACES}
    names = sorted({name for name, _, _ in total})
    by_film = {name: {place: _row(total, name, place) for place in PLACES} for name in names}
    return {
        "n": sum(total.values()),
        "untyped": [line for block in blocks for line in block["untyped"]],
        "slowest_s": round(max(block["slowest_s"] for block in blocks), 3),
        "by_place": by_place,
        "by_film": {name: {place: row for place, row in rows.items() if row["n"]} for name, rows in by_film.items()},
    }


def _row(total: Counter[tuple[str, str, str]], name: str | None, place: str) -> dict[str, Any]:
    ends = Counter[str]()
    for (film, where, end), count in total.items():
        if where == place and name in (None, film):
            ends[end] += count
    n = sum(ends.values())
    return {
        "n": n,
        **{end: ends[end] for end in OUTCOMES},
        "silent_percent": round(100 * ends["silent"] / max(n, 1), 3),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.support.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=50_000, help="mutants, rounded up to whole blocks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, default=RESULT)
    return parser.parse_args()


def main() -> None:
    """Run the mutants and write the figures."""
    asked = _arguments()
    kept = asked.out.with_name(f"{asked.out.stem}.seed{asked.seed}.part")
    found = summary(run(asked.n, asked.seed, asked.jobs, kept))
    costs = list(measured(looks=3))
    bombs = {
        "n": len(costs),
        "refused": sum(cost.code is not None for cost in costs),
        "slowest_s": round(max(cost.seconds for cost in costs), 3),  # least of three looks
        "slowest": max(costs, key=lambda cost: cost.seconds).name,
        "most_mb": round(max(cost.megabytes for cost in costs), 1),
        "largest": max(costs, key=lambda cost: cost.megabytes).name,
    }
    facts = {
        "command": f"python -m tests.support.mutants --n {asked.n} --seed {asked.seed}",
        "versions": {"bmd-edge": __version__, "imagecodecs": imagecodecs.__version__, "numpy": np.__version__},
    }
    asked.out.write_text(json.dumps({**facts, **found, "bombs": bombs}, indent=1) + "\n", encoding="utf-8")
    kept.unlink()
    for place, row in found["by_place"].items():
        counts = ", ".join(f"{end} {row[end]}" for end in OUTCOMES)
        sys.stdout.write(f"{place:<14} {row['n']:>6}: {counts}; {row['silent_percent']} % silent\n")
    sys.stdout.write(f"{found['n']} mutants, slowest {found['slowest_s']} s, untyped: {len(found['untyped'])}\n")
    sys.stdout.write(f"{bombs['refused']} of {bombs['n']} bombs refused, within {bombs['most_mb']} MB and ")
    sys.stdout.write(f"{bombs['slowest_s']} s\n")


if __name__ == "__main__":
    main()
