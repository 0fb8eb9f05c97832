"""Reading tokens one after the other, with the keys and values of all earlier ones kept."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hamster.nano.decoder import Layer


class TokenReader:
    """Decoder layers over an image and a sequence that grows: each further token costs one row, not a whole pass.

    Args:
        layers: of the decoder.
        image: (B, P, D) image tokens, which attend to one another.
        image_layers: number of first layers that update the image tokens.
        room: T, the number of tokens that the sequence may have.
    """

    def __init__(self, layers: Sequence[Layer], image: Tensor, image_layers: int, room: int) -> None:
        self._layers, self._n_patches, self._room = layers, image.shape[1], room
        self._keys, self._values = list[Tensor](), list[Tensor]()
        for i, layer in enumerate(layers):
            key, value = layer.keys_values(image)
            if i < image_layers:
                image = layer.attend(image, key, value)
            self._keys.append(torch.nn.functional.pad(key, (0, 0, 0, room)))
            self._values.append(torch.nn.functional.pad(value, (0, 0, 0, room)))

    def read(self, x: Tensor, places: Tensor) -> Tensor:
        """Return the states (B, N, D) after the last layer of tokens that attend to all at or before their places.

        Args:
            x: (B, N, D) embeddings.
            places: (B, N) in the sequence; what was read at a place before is replaced.
        """
        columns = torch.arange(-self._n_patches, self._room, device=x.device)
        allowed = (columns <= places[..., None])[:, None]
        index = (places + self._n_patches)[:, None, :, None]
        for layer, keys, values in zip(self._layers, self._keys, self._values, strict=True):
            key, value = layer.keys_values(x)
            keys.scatter_(2, index.expand_as(key), key.to(keys.dtype))
            values.scatter_(2, index.expand_as(value), value.to(values.dtype))
            x = layer.attend(x, keys, values, allowed)
        return x
