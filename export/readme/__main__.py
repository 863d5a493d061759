"""`python -m export.readme`: see `figures`."""

from export.readme.figures import main

main()
