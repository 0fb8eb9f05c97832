"""Sizes of the bundled planner."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig

from hamster.nano import tokens

LAYOUT = {
    "query_key_norm": True,
    "branch_norm": True,
    "place_code": True,
    "layer_norm": True,
    "word_vector_size": 64,
}
"""Options for new trainings: normalisation that bounds attention logits and states, coordinate-based positions, and
pretrained word vectors."""


class HamsterNanoConfig(PretrainedConfig):  # type: ignore[misc]  # transformers is untyped
    """Configuration of `HamsterNanoForConditionalGeneration`.

    Args:
        vocab_size: size of the tokenizer's vocabulary; all ids below `tokens.WORDS` are fixed.
        hidden_size: width of the decoder.
        num_hidden_layers: number of decoder layers.
        num_attention_heads: attention heads per layer.
        intermediate_size: width of the decoder's MLPs.
        image_layers: number of first layers that also update the image tokens; later layers only read them.
        tower_channels: channels of the convolutional tower at 64, 32 and 16 pixels per side.
        tower_blocks: residual blocks at 32 and 16 pixels per side.
        max_text_tokens: longest instruction and answer together.
        presence_heads: number of heads with which each word queries the patches to detect whether it is in view; 0
            for a model without this module.
        height_size: hidden width of the module that estimates the height of waypoints; 0 for a model without it.
        query_key_norm: RMS-normalise queries and keys per head, with learned weights, so that attention logits cannot
            grow with the states.
        branch_norm: RMS-normalise the outputs of attention and MLP before they are added to a state, with learned
            weights, so that states cannot grow from layer to layer.
        place_code: encode a patch's position by a linear map of its coordinates and of sinusoids of them, in image
            tokens and in the pointer's keys, instead of one learned vector per patch.
        layer_norm: normalise by layer normalisation without a bias instead of by the root mean square: faster.
        word_vector_size: dimensions of frozen pretrained word vectors, a linear map of which is added to the learned
            embeddings; 0 for none.
        learned_words: number of first ids with a learned embedding; later ones, words of no training text, have their
            word vector only. None for all.
        word_dropout: with word vectors, the share of words whose learned embedding is left out in training, so that
            their vectors must carry meaning, too.

    The last options, from `query_key_norm` on, are absent from the configurations of version 0.1; new trainings switch
    them on (`LAYOUT`).

    Raises:
        ValueError: if a size is not a positive whole number, the heads do not divide the width, or the options of word
            vectors are out of range.
    """

    model_type = "hamster_nano"

    def __init__(
        self,
        vocab_size: int = tokens.WORDS,
        hidden_size: int = 128,
        num_hidden_layers: int = 4,
        num_attention_heads: int = 4,
        intermediate_size: int = 512,
        image_layers: int = 2,
        tower_channels: tuple[int, int, int] | list[int] = (32, 64, 128),
        tower_blocks: tuple[int, int] | list[int] = (1, 3),
        max_text_tokens: int = 160,
        presence_heads: int = 0,
        height_size: int = 0,
        query_key_norm: bool = False,
        branch_norm: bool = False,
        place_code: bool = False,
        layer_norm: bool = False,
        word_vector_size: int = 0,
        learned_words: int | None = None,
        word_dropout: float = 0.2,
        **kwargs: Any,
    ) -> None:
        sizes = (vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, max_text_tokens)
        if not all(isinstance(size, int) and size >= 1 for size in sizes) or hidden_size % num_attention_heads:
            raise ValueError(
                f"a nano planner needs sizes that are whole numbers >= 1, and heads that divide its width; got {sizes}"
            )
        learned_words = vocab_size if learned_words is None else learned_words
        are_numbers = isinstance(word_vector_size, int) and isinstance(learned_words, int)
        are_numbers &= isinstance(word_dropout, int | float)
        if (
            not are_numbers
            or not (tokens.WORDS if word_vector_size else 0) <= learned_words <= vocab_size
            or word_vector_size < 0
            or not 0 <= word_dropout < 1
        ):
            raise ValueError(
                f"a nano planner needs word_vector_size >= 0, learned_words from {tokens.WORDS} to vocab_size "
                f"{vocab_size} and word_dropout in [0, 1); got {word_vector_size}, {learned_words}, {word_dropout}"
            )
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.image_layers = image_layers
        self.tower_channels = list(tower_channels)
        self.tower_blocks = list(tower_blocks)
        self.max_text_tokens = max_text_tokens
        self.presence_heads = presence_heads
        self.height_size = height_size
        self.query_key_norm = query_key_norm
        self.branch_norm = branch_norm
        self.place_code = place_code
        self.layer_norm = layer_norm
        self.word_vector_size = word_vector_size
        self.learned_words = learned_words
        self.word_dropout = word_dropout
        self.max_prompt_tokens = tokens.GRID**2 + max_text_tokens - tokens.MAX_ANSWER
        self.image_token_id = tokens.IMAGE
        self.image_size = tokens.PIXELS
        kwargs.setdefault("pad_token_id", tokens.PAD)
        kwargs.setdefault("eos_token_id", tokens.END)
        kwargs.setdefault("bos_token_id", None)
        kwargs.setdefault("tie_word_embeddings", False)
        super().__init__(**kwargs)
