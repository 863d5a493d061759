"""The languages that people are spoken to in. Every sentence is written once, in English, and looked up by it.

Files for machines (CSV, JSON, DICOM) hold codes and English in every language.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bmd_edge.errors import UsageError, none_of

LANGUAGES = ("en", "de", "es", "ja")
"""Codes of ISO 639-1: English, German, Spanish, Japanese."""
_FOLDER = Path(__file__).parent / "data" / "words"


@dataclass(frozen=True, slots=True)
class Language:
    """One language: `code` as HTML's lang has it, `words` from English sentences to its own.

    What is not among them is said in English: the words of a bundle about itself, for instance. That nothing of this
    program is missing is the tests' business, for a missing word must not cost a result.
    """

    code: str
    words: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, english: str, **values: object) -> str:
        """The sentence in this language, with `values` in the places of its {names}."""
        text = self.words.get(english, english)
        return text.format(**values) if values else text

    def counted(self, n: int, one: str, more: str) -> str:
        """A sentence with a number {n}: `one` for one thing, else `more`."""
        return self(one if n == 1 else more, n=n)


ENGLISH = Language("en")


@cache
def language(code: str) -> Language:
    """The language of one of `LANGUAGES`; UsageError for another."""
    if code not in LANGUAGES:
        raise UsageError(f"--language: {none_of(code, LANGUAGES)}")
    if code == ENGLISH.code:
        return ENGLISH
    words = tomllib.loads((_FOLDER / f"{code}.toml").read_text(encoding="utf-8"))
    return Language(code, words)


def language_of(code: str | None, environment: Mapping[str, str] = os.environ) -> Language:
    """The language that is asked for; without one that of the locale, and English where there is no file of it.

    UsageError for one that is asked for and not known.
    """
    if code:
        return language(code)
    # POSIX 8.2: the first that is set and not empty.
    locale = next(filter(None, map(environment.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    spoken = locale.partition("_")[0].partition(".")[0].partition("@")[0].lower()
    return language(spoken) if spoken in LANGUAGES else ENGLISH
