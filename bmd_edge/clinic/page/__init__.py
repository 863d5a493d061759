"""The page of today's films and the metrics, by HTTP on this machine alone.

In: the journal, and the finished pictures of the outbox. Out: HTML, small pictures, events, figures for Prometheus.
Changes nothing: no request writes anything. Knows no door and no film's bytes.
"""
