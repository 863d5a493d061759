"""The experiment of adaptation: films of named makers with BMD, films of others without, several recipes and seeds.

In: how much of it is run. Out: a small JSON file per training, and one with the result.
Nothing else of the trainer knows it.
"""
