"""Many machines: Ray finds and starts them, a crew on each reads films, and one run keeps what came of them.

In: the films of a run and the address of a cluster. Out: their outcomes, in any order.
Knows no ledger and no command line; nothing but the command line imports it, and only where a cluster is named.
"""
