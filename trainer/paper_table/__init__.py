"""The standard experiment: ten recipes on one phantom cohort, several seeds each, and the table made of them.

In: a budget and the recipes. Out: a small JSON file per training, and the table as JSON, Markdown and picture.
Nothing else of the trainer knows it.
"""
