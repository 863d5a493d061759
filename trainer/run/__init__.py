"""One training, whatever it trains.

In: settings and a task. Out: a run folder with settings, metrics, curves and the best checkpoint.
It knows no film, no network and no method.
"""
