"""How well a bundle agrees with DEXA, for a review board.

In: pairs of answers and DEXA. Out: every figure of their agreement, and its page.
Changes nothing of a bundle; knows neither the fits nor the drift charts.
"""
