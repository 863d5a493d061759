"""What every answer means, and how long the waits are."""

import pytest

from bmd_edge.clinic.delivery.answers import REASONS, Next, answer_to, delay_s


@pytest.mark.parametrize(
    ("status", "next_", "reason"),
    [
        (0x0000, Next.SENT, ""), (0xB000, Next.SENT, ""), (0xB006, Next.SENT, ""), (0xB007, Next.SENT, ""),
        (0x0111, Next.SENT, ""),
        (None, Next.AGAIN, "pacs_down"), (0xA700, Next.AGAIN, "pacs_busy"), (0xA7FF, Next.AGAIN, "pacs_busy"),
        (0x0110, Next.AGAIN, "pacs_busy"), (0x0213, Next.AGAIN, "pacs_busy"),
        (0x0122, Next.HOLD, "refused_by_pacs"), (0xA900, Next.HOLD, "refused_by_pacs"),
        (0xC000, Next.HOLD, "refused_by_pacs"), (0x0124, Next.HOLD, "refused_by_pacs"),
        (0xB001, Next.HOLD, "refused_by_pacs"),
    ],
)  # fmt: skip
def test_an_answer_is_stored_later_or_a_person(status: int | None, next_: Next, reason: str) -> None:
    answer = answer_to(status)
    assert (answer.next, answer.reason) == (next_, reason)
    assert answer.reason in {"", *REASONS}


@pytest.mark.parametrize(("tries", "seconds"), [(0, 5), (1, 5), (2, 15), (3, 60), (4, 300), (5, 900), (99, 900)])
def test_waits_grow_to_a_quarter_of_an_hour(tries: int, seconds: float) -> None:
    found = {delay_s(tries) for _ in range(50)}
    assert all(0.8 * seconds <= one <= 1.2 * seconds for one in found)
    assert len(found) > 1


def test_every_reason_has_a_sentence_and_a_remedy() -> None:
    for sentence, remedy in REASONS.values():
        assert sentence.endswith(".")
        assert remedy.endswith((".", "`."))
