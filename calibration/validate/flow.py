"""The way of the table's hips into the figures: how many go in, how many drop out at each step, and why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bmd_edge.report.pages import SITE_NAMES
from bmd_edge.sites import SITES
from calibration.pairs.pairs import Pair
from calibration.validate.one_site import labelled


def flow(pairs: Sequence[Pair], left_out: Mapping[tuple[str, str], str], precision: str) -> list[dict[str, Any]]:
    """Steps in order, the last one for each site: hips, films and subjects that are left, and who dropped out (why ->
    hips; a code where there is one). `left_out` as in `Validation`.
    """
    with_dexa = [one for one in pairs if any(value is not None for value in one.dexa_gcm2.values())]
    kept = [one for one in with_dexa if (one.film, one.side) not in left_out]
    reasons = Counter(reason for one in kept if (reason := one.answers[precision].reason))
    read = [one for one in kept if not one.answers[precision].reason]
    steps = [
        _step("rows of the table", pairs, {}),
        _step("with DEXA", with_dexa, {"no DEXA": len(pairs) - len(with_dexa)}),
        _step("without a finding that leaves them out", kept, _reasons(left_out, with_dexa)),
        _step("with a number", read, reasons),
    ]
    for site in SITES:
        some = labelled(read, site, precision)
        steps.append(
            _step(f"in the figures: {SITE_NAMES[site].lower()}", some, {"no DEXA here": len(read) - len(some)})
        )
    return steps


def _reasons(left_out: Mapping[tuple[str, str], str], pairs: Sequence[Pair]) -> Counter[str]:
    return Counter(left_out[one.film, one.side] for one in pairs if (one.film, one.side) in left_out)


def _step(name: str, pairs: Sequence[Pair], out: Mapping[str, int]) -> dict[str, Any]:
    return {
        "step": name,
        "hips": len(pairs),
        "films": len({one.film for one in pairs}),
        "subjects": len({one.subject for one in pairs}),
        "out": {why: n for why, n in sorted(out.items()) if n},
    }
