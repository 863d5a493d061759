"""What the phantom shows, and how well a bundle reads it.

In: phantom films, made or kept, and a bundle. Out: figures, all synthetic.
No other room of the phantom knows it.
"""
