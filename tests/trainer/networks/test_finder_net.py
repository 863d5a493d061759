import torch

from trainer.networks.build import build


def test_finder_answers_per_landmark_and_kind() -> None:
    network = build("finder", channels=[16] * 5, n_embedding=12).eval()
    with torch.no_grad():
        heatmaps, kind, embedding = network(torch.rand(2, 1, 256, 256))
    assert heatmaps.shape == (2, 6, 128, 128)
    assert kind.shape == (2, 6)
    assert embedding.shape == (2, 12)
