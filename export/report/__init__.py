"""What an export measured comes in; its report in the run folder goes out, JSON and one page.

No bundle is written or changed here.
"""
