"""What values a setting takes: stands in its annotation, in what `--print-config` says, and in the error."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Above:
    """Finite numbers above `low`, and at most `at_most` where that is given."""

    low: float
    at_most: float = math.inf

    def allows(self, value: float) -> bool:
        """Whether a setting may have this value; NaN is none."""
        return self.low < value <= self.at_most and math.isfinite(value)

    def __str__(self) -> str:
        return f"above {self.low:g}" + (f" and at most {self.at_most:g}" if math.isfinite(self.at_most) else "")


@dataclass(frozen=True)
class AtLeast:
    """Finite numbers from `low` on."""

    low: float

    def allows(self, value: float) -> bool:
        """Whether a setting may have this value; NaN is none."""
        return self.low <= value and math.isfinite(value)

    def __str__(self) -> str:
        return f"at least {self.low:g}"


@dataclass(frozen=True)
class Between:
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float

    def allows(self, value: float) -> bool:
        """Whether a setting may have this value; NaN is none."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"between {self.low:g} and {self.high:g}"


class OneOf:
    """One of these words."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def allows(self, value: object) -> bool:
        """Whether a setting may have this value."""
        return value in self.words

    def __str__(self) -> str:
        return f"one of {', '.join(self.words)}"


class Folder:
    """The path of a folder, or nothing; whether it is there is seen when it is read."""

    def allows(self, value: object) -> bool:
        """Whether a setting may have this value."""
        return isinstance(value, str) and value.isprintable()

    def __str__(self) -> str:
        return "a folder, or empty"


Bound = Above | AtLeast | Between | OneOf | Folder
