"""The folder of networks and numbers, verified.

In: a folder. Out: a `VerifiedBundle`, whose every byte was checked, and how an image becomes a network's input.
Must not know films, hips or how a network is run.
"""
