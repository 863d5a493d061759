"""`python -m bmd_edge`: the program."""

from bmd_edge.cli.main import main

if __name__ == "__main__":
    main()
