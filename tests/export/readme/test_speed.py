"""Speeds of the README, and how memory grows over a long list."""

from export.readme import speed


def test_growth_of_memory_over_a_list_is_found():
    flat = [[second, 10 * second, 500 + second % 7, 0] for second in range(400)]
    slope, low, high = speed.day_slope(flat)
    assert low < slope < high
    assert low < 0 < high
    slope, low, high = speed.day_slope([[s, films, mb + films / 100, 0] for s, films, mb, _ in flat])
    assert low < 10 < high
    assert low > 5
