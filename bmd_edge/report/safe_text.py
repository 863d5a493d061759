"""Text of strangers, made safe to show in a terminal, on a page and in a spreadsheet."""

from bmd_edge.system.csv_cells import is_formula


def safe_cell(value: object) -> object:
    """A cell of a CSV file for people: text that a spreadsheet would run as a formula gets an apostrophe.

    So does what stands behind a semicolon, where the spreadsheets of half of Europe split a line. Text is made
    `visible`; numbers stay numbers, and what is unknown stays empty.
    """
    if not isinstance(value, str):
        return value
    text = visible(value)
    return ";".join(f"'{part}" if is_formula(part) else part for part in text.split(";"))


def visible(text: str) -> str:
    """Escape what would act instead of show: control characters, terminal escapes, direction overrides, surrogates."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
