"""What is learned from DEXA after training: intervals, headline cuts, a clinic's recalibration.

In: answers and DEXA. Out: the numbers of calibration.json and of a recalibration.
Judges nothing that it fits: validation and drift are other rooms.
"""
