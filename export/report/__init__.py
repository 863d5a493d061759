"""What an export measured, for its reader.

In: figures of the export. Out: export_report.html and .json in the run folder.
Writes and changes no bundle.
"""
