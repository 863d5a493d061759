"""A finished bundle and phantom cohorts come in; proofs of what it promises go out, one command each.

They change nothing of the bundle, and nothing else imports them.
"""
