"""`python -m export.readme`: see `pages`."""

from export.readme.pages import main

main()
