"""From the BMD network's raw numbers to estimates.

In: BMD and spread of a hip, age and sex, the calibration of the bundle. Out: estimates, T-scores, the headline.
Knows no film, no picture and no report.
"""
