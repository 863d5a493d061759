"""What a reader of the figures must know before the figures."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a reader of the figures must know.

    `severity` is "error", "warning" or "note"; `hips` counts the rows concerned, `films` names them by film_id;
    `left_out` says whether these hips are in no figure.
    """

    code: str
    severity: str
    sentence: str
    hips: int = 0
    films: tuple[str, ...] = ()
    left_out: bool = False


def weight(finding: Finding) -> int:
    """Key that sorts findings, the gravest first."""
    return ("error", "warning", "note").index(finding.severity)
