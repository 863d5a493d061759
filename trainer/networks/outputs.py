"""What the networks answer: the names of their outputs, and how many landmarks, kinds and sites there are."""

OUTPUTS = {"finder": ("heatmaps", "kind", "embedding"), "bmd": ("bmd", "spread", "embedding")}
"""Names of the outputs of either task's networks, in the order of the tuple that `forward` returns."""

N_LANDMARKS, N_KINDS, N_SITES = 6, 6, 2
