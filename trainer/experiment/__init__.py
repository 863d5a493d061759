"""The standard experiment: ten recipes on one phantom cohort, three seeds each, and the table made of them."""
