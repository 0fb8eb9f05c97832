from pathlib import Path

import numpy as np
import pytest
import synthetic
import torch

from hamster.policy.flow.backbone import Trunk, backbone
from hamster.policy.flow.images import relief
from hamster.policy.flow.patches import nearest, patches, surface_points
from hamster.policy.flow.thinning import chosen, replaced, sparsest
from hamster.policy.flow.whole import Pixels, known_depth, tokens_world

CAMERA = synthetic.front_camera(64)


def test_patches_are_the_squares_in_reading_order() -> None:
    image = torch.arange(2 * 16 * 24).view(2, 16, 24, 1)[:, :, :16]
    cut = patches(image)
    assert cut.shape == (2, 4, 64, 1)
    for token, (row, column) in enumerate([(0, 0), (0, 8), (8, 0), (8, 8)]):
        torch.testing.assert_close(cut[:, token], image[:, row : row + 8, column : column + 8].flatten(1, 2))


def test_a_token_is_the_nearest_known_point_of_its_patch() -> None:
    depth = torch.rand(3, 16, 16) + 0.5
    depth[0, :8, :8] = 0
    depth[1, 3, 4], depth[2, 9, 9] = 0.1, torch.nan
    points = torch.randn(3, 16, 16, 3)
    found, known = surface_points(points, depth)
    assert known.tolist() == [[False, True, True, True], [True] * 4, [True] * 4]
    torch.testing.assert_close(found[1, 0], points[1, 3, 4])
    for i, (row, column) in enumerate([(0, 0), (0, 8), (8, 0), (8, 8)]):
        square = torch.where(depth > 0, depth, 9.0)[2, row : row + 8, column : column + 8]
        where = divmod(int(square.argmin()), 8)
        torch.testing.assert_close(found[2, i], points[2, row + where[0], column + where[1]])


def test_tokens_of_a_whole_image_are_those_of_its_unprojected_pixels() -> None:
    depth = np.random.default_rng(0).uniform(0.5, 2, (64, 64)).astype(np.float32)
    depth[:8, :8], depth[20, 20] = np.inf, np.nan
    pixels = Pixels.of(CAMERA, 64)
    points, on = tokens_world(known_depth(depth), CAMERA, pixels)
    every = torch.from_numpy(CAMERA.points_world(known_depth(depth)))
    expected, known = surface_points(every, torch.from_numpy(known_depth(depth)))
    np.testing.assert_array_equal(on, known)
    np.testing.assert_allclose(points[on], expected[known], atol=1e-9)
    assert not on[0] and on[1:].all()


def test_a_smaller_image_is_made_of_pixels_of_the_larger_one() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    np.testing.assert_array_equal(Pixels.of(CAMERA, 64).pick(image), image)
    np.testing.assert_array_equal(Pixels.of(CAMERA, 16).pick(image), image[2::4, 2::4])


def test_relief_is_how_far_behind_the_nearest_pixel_lies() -> None:
    depth = torch.full((1, 8, 8), 2.0)
    depth[0, 0, 0], depth[0, 0, 1], depth[0, 0, 2] = 1.95, 0.0, 1.96
    behind, known = relief(depth)[0, 0].chunk(2)
    torch.testing.assert_close(behind[:4], torch.tensor([0.0, 0.0, 0.2, 1.0]), atol=1e-4, rtol=0)
    assert known.sum() == 63 and known[1] == 0
    torch.testing.assert_close(relief(depth * (depth > 0) + 0.3 * (depth > 0)), relief(depth), atol=1e-4, rtol=0)


def test_the_loneliest_tokens_are_kept_as_a_search_of_all_pairs_finds_them() -> None:
    torch.manual_seed(0)
    features, on = torch.randn(2, 300, 16), torch.rand(2, 300) > 0.1
    kept = sparsest(features, on, 75)
    for b in range(2):
        lonely = np.full(300, -1.0)
        for i in np.flatnonzero(on[b]):
            gaps = (features[b, i] - features[b]).norm(dim=-1)[on[b] & (torch.arange(300) != i)]
            lonely[i] = gaps.sort().values[:8].mean()
        assert kept[b].tolist() == sorted(np.argsort(lonely)[::-1][:75].tolist())


def test_unknown_tokens_are_kept_last() -> None:
    on = torch.zeros(1, 50, dtype=torch.bool)
    on[0, ::5] = True
    assert set(range(0, 50, 5)) <= set(sparsest(torch.randn(1, 50, 4), on, 12)[0].tolist())


def test_what_is_taken_out_can_be_put_back() -> None:
    x, index = torch.randn(2, 6, 3), torch.tensor([[0, 3], [2, 5]])
    part = chosen(x, index)
    torch.testing.assert_close(part[1, 1], x[1, 5])
    torch.testing.assert_close(replaced(x, index, part), x)
    assert replaced(x, index, part + 1)[0, 3, 0] == x[0, 3, 0] + 1


@pytest.mark.parametrize("name", ["tower", "resnet18", "resnet50"])
def test_every_backbone_has_stride_8(name: str) -> None:
    network, channels = backbone(name, 32)  # type: ignore[arg-type]
    with torch.inference_mode():
        assert network.eval()(torch.randn(1, 3, 32, 32)).shape == (1, channels, 4, 4)


def test_a_trunk_starts_from_a_saved_resnet_and_keeps_its_statistics_in_training(tmp_path: Path) -> None:
    from transformers import ResNetConfig, ResNetForImageClassification

    sizes = {"embedding_size": 64, "hidden_sizes": [64, 128, 8], "depths": [2, 2, 1]}
    donor = ResNetForImageClassification(ResNetConfig(layer_type="basic", **sizes))
    donor.save_pretrained(tmp_path)
    trunk = Trunk("resnet18")
    trunk.start_from(tmp_path)
    x = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        expected = donor.eval().resnet(x, output_hidden_states=True).hidden_states[2]
        torch.testing.assert_close(trunk.train()(x), expected)
        torch.testing.assert_close(trunk(x), expected)  # nothing was counted
    with pytest.raises(ValueError, match="does not fit"):
        Trunk("resnet50").start_from(tmp_path)
    with pytest.raises(ValueError, match=r"no model\.safetensors"):
        trunk.start_from(tmp_path / "none")


def test_nearest_of_nothing_is_unknown() -> None:
    assert not nearest(torch.zeros(8, 8))[1].any()
