"""What turns an image into features at an eighth of its size: a few convolutions, or a ResNet's trunk."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from hamster.policy.flow.config import Backbone
from hamster.weights import read_tensors

RESNETS = {"resnet18": ("basic", [2, 2], [64, 128]), "resnet50": ("bottleneck", [3, 4], [256, 512])}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's colours


def tower(channels: int, width: int) -> nn.Sequential:
    """(N, channels, S, S) -> (N, width, S / 8, S / 8)."""
    return nn.Sequential(
        nn.Conv2d(channels, 64, 4, 4),
        ChannelNorm(64),
        nn.GELU(),
        nn.Conv2d(64, 64, 3, 1, 1),
        ChannelNorm(64),
        nn.GELU(),
        nn.Conv2d(64, width, 3, 2, 1),
    )


def backbone(name: Backbone, width: int) -> tuple[nn.Module, int]:
    """A network (N, 3, S, S) -> (N, C, S / 8, S / 8), and C."""
    return (tower(3, width), width) if name == "tower" else (Trunk(name), RESNETS[name][2][-1])


class Trunk(nn.Module):
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
        """Stride 8."""
        return torch.as_tensor(self.resnet(x).last_hidden_state)

    def train(self, mode: bool = True) -> Trunk:
        """As ever, but for the statistics."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def start_from(self, folder: Path) -> None:
        """Takes the weights of a ResNet that `transformers` saved (`microsoft/resnet-50`, say); no pickle is read.

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


def normalised(rgb: Tensor) -> Tensor:
    """(..., 3) uint8 -> float32 of about unit variance."""
    mean, std = (255 * torch.tensor(values, device=rgb.device) for values in (MEAN, STD))
    return (rgb - mean) / std


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Free of copies where x is channels-last."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
