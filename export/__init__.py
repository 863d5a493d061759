"""The export workshop: a training run becomes a checked bundle."""
