"""Visual encoders: crops and whole images to tokens that sit on surfaces in 3D."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from hamster.policy.flow.config import PATCH_PX, Backbone, FlowConfig
from hamster.policy.flow.inputs import Crops, Images, nearest_points, patches
from hamster.policy.layers import ChannelNorm
from hamster.weights import read_tensors

CROP_CHANNELS = 10  # rgb, position in the crop, normal, whether depth is known
FOVEA_UNIT_M, OVERVIEW_UNIT_M = 0.05, 0.3
IMAGE_UNIT_M, RELATIVE_DEPTH_UNIT_M = 0.3, 0.05
RESNETS = {"resnet18": ("basic", [2, 2], [64, 128]), "resnet50": ("bottleneck", [3, 4], [256, 512])}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's colours

Encoded = tuple[Tensor, Tensor, Tensor]  # features (B, N, T, width), positions (B, N, T, 3), valid (B, N, T)


class CropEncoder(nn.Module):
    """A convolutional stem over colour, position and normals of each crop."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.stem = conv_stem(CROP_CHANNELS, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.position = nn.Linear(3, config.width)
        self.kind = nn.Parameter(torch.randn(3, config.width) * 0.02)  # whole image, tool, key waypoint

    def forward(self, crops: Crops) -> Encoded:
        """Return T = (S / 8)² tokens for each crop."""
        image, unit_m = crop_channels(crops)
        batch, n_crops = image.shape[:2]
        maps = self.stem(image.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        features = maps.flatten(2).transpose(1, 2).reshape(batch, n_crops, -1, maps.shape[1])
        positions, known = nearest_points(crops.points, crops.depth_m)
        local = (positions - crops.centres[:, :, None]) / unit_m[None, :, None, None]
        kinds = self.kind[torch.arange(n_crops, device=image.device).clamp(max=2)]
        features = self.norm(features) + self.position(local) + kinds[:, None]
        return features, positions, known & crops.valid[:, :, None]


class ImageEncoder(nn.Module):
    """A backbone over the whole image of each camera, and the depth of each pixel relative to its patch."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.backbone, width = build_backbone(config.backbone, config.width)
        self.backbone.requires_grad_(not config.frozen_backbone)
        self.project = nn.Linear(width, config.width)
        self.relative_depth = nn.Linear(2 * PATCH_PX**2, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.position = nn.Linear(3, config.width)
        self.camera = nn.Parameter(torch.randn(len(config.cameras), config.width) * 0.02)

    def forward(self, images: Images) -> Encoded:
        """Return T = (S / 8)² tokens for each camera."""
        rgb = normalised_rgb(images.rgb.flatten(0, 1)).permute(0, 3, 1, 2)  # channels-last in memory
        maps = self.backbone(rgb).flatten(2).transpose(1, 2).unflatten(0, images.rgb.shape[:2])
        features = self.norm(self.project(maps) + self.relative_depth(relative_depth(images.depth_m)))
        features = features + self.position(images.points / IMAGE_UNIT_M) + self.camera[:, None]
        return features, images.points, images.valid


class ResNetTrunk(nn.Module):
    """The first two stages of a ResNet (He et al. 2016), as `transformers` builds it.

    Its batch statistics stay as they are loaded, also in training.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        from transformers import ResNetConfig, ResNetModel

        layer, depths, widths = RESNETS[name]
        self.resnet = ResNetModel(
            ResNetConfig(embedding_size=64, hidden_sizes=widths, depths=depths, layer_type=layer)
        ).to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (N, C, S / 8, S / 8) of images (N, 3, S, S)."""
        return torch.as_tensor(self.resnet(x).last_hidden_state)

    def train(self, mode: bool = True) -> ResNetTrunk:
        """Set the mode of all but the batch statistics."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def load_pretrained(self, folder: Path) -> None:
        """Load the weights of a ResNet that `transformers` saved (`microsoft/resnet-50`, say); no pickle is read.

        Raises:
            ValueError: if the folder has no model.safetensors, or it is of another ResNet.
        """
        file = folder / "model.safetensors"
        if not file.is_file():
            raise ValueError(f"{folder} has no model.safetensors; save a ResNet there with `save_pretrained`")
        stored = {name.removeprefix("resnet."): value for name, value in read_tensors(file).items()}
        own = self.resnet.state_dict()
        if unfit := [name for name, value in own.items() if name not in stored or stored[name].shape != value.shape]:
            raise ValueError(f"{file} does not fit this backbone: lacks {unfit[0]}, and {len(unfit) - 1} others")
        self.resnet.load_state_dict({name: stored[name] for name in own})


def conv_stem(channels: int, width: int) -> nn.Sequential:
    """Return a few convolutions: (N, channels, S, S) -> (N, width, S / 8, S / 8)."""
    return nn.Sequential(
        nn.Conv2d(channels, 64, 4, 4),
        ChannelNorm(64),
        nn.GELU(),
        nn.Conv2d(64, 64, 3, 1, 1),
        ChannelNorm(64),
        nn.GELU(),
        nn.Conv2d(64, width, 3, 2, 1),
    )


def build_backbone(name: Backbone, width: int) -> tuple[nn.Module, int]:
    """Return a network (N, 3, S, S) -> (N, C, S / 8, S / 8), and C."""
    return (conv_stem(3, width), width) if name == "conv_stem" else (ResNetTrunk(name), RESNETS[name][2][-1])


def crop_channels(crops: Crops) -> tuple[Tensor, Tensor]:
    """Return the stem's input (B, G, 10, S, S), and the length (G,) in metres of one unit in each crop."""
    points, depth_m = crops.points, crops.depth_m
    unit_m = torch.full((points.shape[1],), FOVEA_UNIT_M, device=points.device)
    unit_m[0] = OVERVIEW_UNIT_M
    known = (depth_m > 0)[..., None]
    local = (points - crops.centres[:, :, None, None]) / unit_m[None, :, None, None, None]
    parts = [crops.rgb / 255.0 - 0.5, local.clamp(-4, 4) * known, normals(points) * known, known]
    return torch.cat([part.float() for part in parts], -1).permute(0, 1, 4, 2, 3), unit_m


def normals(points: Tensor) -> Tensor:
    """Return unit normals of an organised point map (..., S, S, 3), from differences of neighbours."""
    across = torch.diff(points, dim=-2, append=2 * points[..., :, -1:, :] - points[..., :, -2:-1, :])
    down = torch.diff(points, dim=-3, append=2 * points[..., -1:, :, :] - points[..., -2:-1, :, :])
    return nn.functional.normalize(torch.linalg.cross(down, across), dim=-1)


def relative_depth(depth_m: Tensor) -> Tensor:
    """Return for each patch of (..., S, S) how far its pixels lie behind its nearest one, and which are known.

    Returns:
        (..., T, 128).
    """
    depth_m = patches(depth_m[..., None])[..., 0]
    known = depth_m > 0
    front = torch.where(known, depth_m, torch.inf).amin(-1, keepdim=True)
    behind = ((depth_m - front) / RELATIVE_DEPTH_UNIT_M).clamp(0, 4)
    return torch.cat([torch.where(known, behind, 0), known.to(depth_m.dtype)], -1)


def normalised_rgb(rgb: Tensor) -> Tensor:
    """Return uint8 images (..., 3) as float32 of about unit variance."""
    mean, std = (255 * torch.tensor(values, device=rgb.device) for values in (MEAN, STD))
    return (rgb - mean) / std
