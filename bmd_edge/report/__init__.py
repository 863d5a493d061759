"""What is said about films, to machines and to people.

In: estimates, refusals and facts of films. Out: reports, results.csv, results.jsonl, run.json, their schema, pages.
Knows no network and no folder of films.
"""

from bmd_edge.report.film_report import RESEARCH_USE as RESEARCH_USE
