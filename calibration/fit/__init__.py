"""Answers and DEXA come in; intervals, headline cuts and a clinic's recalibration go out.

What is fitted here is not judged here: validation and drift are other rooms.
"""
