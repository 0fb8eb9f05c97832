from pathlib import Path

import pytest
import torch

from hamster.policy.flow.vision import ResNetTrunk, build_backbone, normals, relative_depth


def test_relative_depth_is_how_far_behind_the_nearest_pixel_lies() -> None:
    depth = torch.full((1, 8, 8), 2.0)
    depth[0, 0, 0], depth[0, 0, 1], depth[0, 0, 2] = 1.95, 0.0, 1.96
    behind, known = relative_depth(depth)[0, 0].chunk(2)
    torch.testing.assert_close(behind[:4], torch.tensor([0.0, 0.0, 0.2, 1.0]), atol=1e-4, rtol=0)
    assert known.sum() == 63 and known[1] == 0
    torch.testing.assert_close(
        relative_depth(depth * (depth > 0) + 0.3 * (depth > 0)), relative_depth(depth), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("normal", [(0.0, 0.0, -1.0), (0.6, 0.0, -0.8), (0.0, -0.6, -0.8), (2 / 7, 3 / 7, -6 / 7)])
def test_the_normals_of_a_plane_are_its_own_and_face_the_camera(normal: tuple[float, float, float]) -> None:
    n = torch.tensor(normal)
    v, u = torch.meshgrid(torch.arange(6) - 2.5, torch.arange(6) - 2.5, indexing="ij")
    depth = 1 - 0.01 * (n[0] * u + n[1] * v) / n[2]
    points = torch.stack([0.01 * u, 0.01 * v, depth], -1)
    torch.testing.assert_close(normals(points[None]), n.expand(1, 6, 6, 3), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["conv_stem", "resnet18", "resnet50"])
def test_every_backbone_has_stride_8(name: str) -> None:
    network, channels = build_backbone(name, 32)  # type: ignore[arg-type]
    with torch.inference_mode():
        assert network.eval()(torch.randn(1, 3, 32, 32)).shape == (1, channels, 4, 4)


def test_a_trunk_loads_a_saved_resnet_and_keeps_its_statistics_in_training(tmp_path: Path) -> None:
    from transformers import ResNetConfig, ResNetForImageClassification

    sizes = {"embedding_size": 64, "hidden_sizes": [64, 128, 8], "depths": [2, 2, 1]}
    donor = ResNetForImageClassification(ResNetConfig(layer_type="basic", **sizes))
    donor.save_pretrained(tmp_path)
    trunk = ResNetTrunk("resnet18")
    trunk.load_pretrained(tmp_path)
    x = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        expected = donor.eval().resnet(x, output_hidden_states=True).hidden_states[2]
        torch.testing.assert_close(trunk.train()(x), expected)
        torch.testing.assert_close(trunk(x), expected)  # statistics unchanged
    with pytest.raises(ValueError, match="does not fit"):
        ResNetTrunk("resnet50").load_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"no model\.safetensors"):
        trunk.load_pretrained(tmp_path / "none")
