"""Image processor, tokenizer and chat template of the bundled planner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.image_processing_backends import PilBackend
from transformers.image_utils import PILImageResampling
from transformers.processing_utils import ProcessorMixin

from hamster.nano import tokens

CHAT_TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] if part['type'] == 'image' %}<image>{% endfor %}"
    "{% endfor %}"
    "{% for message in messages %}{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}{% endif %}"
    "{% endfor %}"
)


class HamsterNanoImageProcessor(PilBackend):  # type: ignore[misc]  # transformers is untyped
    """An image processor that scales to (3, 192, 192) in [-1, 1]; the aspect ratio is not kept, as uv are relative."""

    resample = PILImageResampling.BILINEAR
    image_mean = [0.5, 0.5, 0.5]  # noqa: RUF012  # the type that transformers reads
    image_std = [0.5, 0.5, 0.5]  # noqa: RUF012
    size = {"height": tokens.PIXELS, "width": tokens.PIXELS}  # noqa: RUF012
    do_resize = True
    do_rescale = True
    do_normalize = True
    do_convert_rgb = True


def scaled_image(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) in the size that `HamsterNanoImageProcessor` scales to, still as bytes."""
    size = (tokens.PIXELS, tokens.PIXELS)
    return np.array(Image.fromarray(np.ascontiguousarray(rgb)).resize(size, Image.Resampling.BILINEAR))


class HamsterNanoProcessor(ProcessorMixin):  # type: ignore[misc]  # transformers is untyped
    """A processor that joins image processor and tokenizer; `<image>` in the text becomes 256 image tokens."""

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None, **_: Any
    ) -> None:
        self.image_token = "<image>"  # noqa: S105  # a token of text
        self.image_token_id = tokens.IMAGE
        super().__init__(image_processor, tokenizer, chat_template=chat_template or CHAT_TEMPLATE)

    def replace_image_token(self, image_inputs: dict[str, Any], image_idx: int, **_: Any) -> str:
        """Return the text that one `<image>` is replaced by."""
        return self.image_token * tokens.GRID**2


def build_tokenizer(
    texts: Iterable[str], more_words: Iterable[str] = (), fewest: int = 1, listed_words: Iterable[str] = ()
) -> Any:
    """Build a word-level tokenizer that ignores case and spells unknown words in bytes.

    Rare words, mostly typing errors, are spelt in bytes, too, so that the model learns to read spelt words.

    Args:
        texts: their words are the vocabulary.
        more_words: further words of the vocabulary, however rare.
        fewest: number of uses in `texts` from which a word is part of the vocabulary.
        listed_words: words, without spaces, that follow all others in the vocabulary unless they are among them;
            the tokenizer's `init_kwargs["learned_words"]` is the number of entries before them.
    """
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Punctuation("isolated"), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )

    def split(text: str) -> list[str]:
        pieces = tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))
        return [piece for piece, _ in pieces]

    uses = Counter(piece for text in texts for piece in split(text))
    words = {"▁", *(piece for word in more_words for piece in split(word))}
    words |= {piece for piece, times in uses.items() if times >= fewest}
    entries = [*tokens.special_tokens(), *[f"<0x{byte:02X}>" for byte in range(256)], *sorted(words)]
    learned_words = len(entries)
    entries += [f"▁{word}" for word in listed_words if f"▁{word}" not in words]
    tokenizer.model = models.Unigram([(entry, -1.0) for entry in entries], unk_id=tokens.UNK, byte_fallback=True)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = tokens.special_tokens()
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in special[:3]])
    tokenizer.add_tokens([AddedToken(name, normalized=False, special=False) for name in special[3:]])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token="</ans>", padding_side="left",  # noqa: S106
        model_input_names=["input_ids", "attention_mask"], clean_up_tokenization_spaces=False,
        learned_words=learned_words,
    )  # fmt: skip


def build_processor(
    texts: Iterable[str], more_words: Iterable[str] = (), fewest: int = 1, listed_words: Iterable[str] = ()
) -> HamsterNanoProcessor:
    """Build the processor with the tokenizer of `build_tokenizer`.

    Args:
        texts: their words are the vocabulary.
        more_words: further words of the vocabulary, however rare.
        fewest: number of uses in `texts` from which a word is part of the vocabulary.
        listed_words: words, without spaces, that follow all others in the vocabulary unless they are among them.
    """
    tokenizer = build_tokenizer(texts, more_words, fewest, listed_words)
    return HamsterNanoProcessor(HamsterNanoImageProcessor(), tokenizer)
