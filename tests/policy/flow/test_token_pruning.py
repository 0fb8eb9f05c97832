import numpy as np
import torch

from hamster.policy.flow.token_pruning import density_sample, gather_tokens, scatter_tokens


def test_the_sparsest_tokens_are_kept_as_a_search_of_all_pairs_finds_them() -> None:
    torch.manual_seed(0)
    features, valid = torch.randn(2, 300, 16), torch.rand(2, 300) > 0.1
    kept = density_sample(features, valid, 75)
    for b in range(2):
        knn_distance = np.full(300, -1.0)
        for i in np.flatnonzero(valid[b]):
            distances = (features[b, i] - features[b]).norm(dim=-1)[valid[b] & (torch.arange(300) != i)]
            knn_distance[i] = distances.sort().values[:8].mean()
        assert kept[b].tolist() == sorted(np.argsort(knn_distance)[::-1][:75].tolist())


def test_invalid_tokens_are_kept_last() -> None:
    valid = torch.zeros(1, 50, dtype=torch.bool)
    valid[0, ::5] = True
    assert set(range(0, 50, 5)) <= set(density_sample(torch.randn(1, 50, 4), valid, 12)[0].tolist())


def test_gathered_tokens_can_be_scattered_back() -> None:
    x, index = torch.randn(2, 6, 3), torch.tensor([[0, 3], [2, 5]])
    part = gather_tokens(x, index)
    torch.testing.assert_close(part[1, 1], x[1, 5])
    torch.testing.assert_close(scatter_tokens(x, index, part), x)
    assert scatter_tokens(x, index, part + 1)[0, 3, 0] == x[0, 3, 0] + 1
