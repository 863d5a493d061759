"""Pairs of answers and DEXA come in; every figure of their agreement, and its page, go out.

It changes nothing of a bundle, and knows neither the fits nor the drift charts.
"""
