"""Load checkpoints of vision-language models, from a folder or the hub; torchvision is not needed."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from hamster.devices import check_dtype, choose_device
from hamster.hub import HubId, fetch
from hamster.inspect_checkpoint import DAMAGED, read_header, read_json, weight_files
from hamster.weights import bounded, check_finite, check_finite_files

_TEMPLATES = {
    # PaliGemma was published without one; its processor adds <bos> after the image and the newline at the end.
    "paligemma": "{% for message in messages %}{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endif %}{% endfor %}",
}


def load_model(name: Path | str, device: str | None = None, dtype: str = "auto") -> tuple[Any, Any]:
    """Load a model in evaluation mode, and its processor, which pads on the left.

    Args:
        name: a folder, which is only read, or a hub id, whose files are fetched into the cache.
        device: where it runs; by default on a GPU where there is one.
        dtype: of the weights: "auto" is that of the file, else "float32", "bfloat16" or "float16".

    Raises:
        ValueError: if there is no such checkpoint or device, it is not one that takes images and answers in text, a
            file of it is damaged or absurd, or its weights are incomplete or not finite.
    """
    from transformers import AutoModelForImageTextToText

    import hamster.nano  # noqa: F401  # makes the Auto classes know the bundled planner

    place, dtype = choose_device(device), check_dtype(dtype)
    name = _folder(name)
    with _no_larger_than_its_files(name):  # before its processor is looked for, which it may lack, too
        processor = load_processor(name)
    return read_model(AutoModelForImageTextToText, name, place, dtype=dtype).eval(), processor


def load_in_four_bits(name: Path | str, gpu: int) -> Any:
    """Return a model whose weights are packed into 4 bits while they are read onto a GPU, with bitsandbytes.

    Args:
        name: a folder or a hub id.
        gpu: its number.

    Raises:
        ValueError: as `load_model`.
    """
    import torch
    from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

    import hamster.nano  # noqa: F401

    bits = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16, bnb_4bit_quant_storage=torch.bfloat16,  # so that FSDP can share it out
    )  # fmt: skip
    return read_model(
        AutoModelForImageTextToText, name, None, are_packed=True, quantization_config=bits, device_map={"": gpu}
    )


def read_model(
    kind: Any,
    name: Path | str,
    place: Any = "cpu",
    may_lack: bool = False,
    are_packed: bool = False,
    **options: Any,
) -> Any:
    """Return a model by its class or Auto class, whole and finite, on a device.

    Args:
        kind: with `from_pretrained`.
        name: a folder or hub id.
        place: the device; None leaves the model where the options put it.
        may_lack: go on where weights are missing, with random ones: of what the options add.
        are_packed: the options pack the weights into few bits, so that the files' numbers are checked instead.
        options: of `from_pretrained`.

    Raises:
        ValueError: as `load_model`.
    """
    folder = _folder(name)
    with _no_larger_than_its_files(folder), no_progress_bars():
        if are_packed:
            check_finite_files(weight_files(folder))
        model, about = _read(kind.from_pretrained, folder, use_safetensors=True, output_loading_info=True, **options)
    if (lacking := sorted(about["missing_keys"])) and not may_lack:  # transformers would go on with random numbers
        raise ValueError(f"{name} lacks {len(lacking)} weights, {lacking[0]} among them: {DAMAGED}")
    if place is not None:
        model = model.to(place)
    if not are_packed:
        check_finite(dict(model.named_parameters()), name)
    return model


def _folder(name: Path | str) -> Path:
    """Return the folder of a checkpoint; a hub id's files are fetched, so that all are checked alike."""
    hub_id = HubId.parse(name)
    return Path(name) if hub_id is None else fetch(hub_id, "model")


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Hide transformers' progress bars while a checkpoint is read or written."""
    from transformers.utils import logging

    was_enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            logging.enable_progress_bar()


@contextmanager
def _no_larger_than_its_files(folder: Path) -> Iterator[None]:
    """Look at a folder's files before transformers does."""
    if not folder.is_dir():
        yield
        return
    read_json(folder / "config.json", finite=False)
    shapes = [shape for file in weight_files(folder) for shape, _ in read_header(file).values()]
    with bounded(len(shapes), sum(map(math.prod, shapes)), folder / "config.json"):
        yield


def load_processor(name: Path | str) -> Any:
    """Load the image-and-text processor of a checkpoint; ValueError as `load_model`."""
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

    import hamster.nano  # noqa: F401

    name = _folder(name)
    config = _read(AutoConfig.from_pretrained, name)
    if type(config) not in AutoModelForImageTextToText._model_mapping:
        raise ValueError(f"{name} cannot be read as a vision-language model: it is a {config.model_type}")
    model_type = config.model_type
    processor = _read((_for_images(model_type) or AutoProcessor).from_pretrained, name)
    processor.tokenizer.padding_side = "left"
    if not processor.chat_template:
        processor.chat_template = processor.tokenizer.chat_template or _TEMPLATES.get(model_type)
    if not processor.chat_template:
        raise ValueError(f"{name} has no chat template; add a chat_template.jinja to the checkpoint")
    return processor


def _read(load: Any, folder: Path, **options: Any) -> Any:
    """Read a folder with transformers; code that comes with a checkpoint is never run."""
    try:
        return load(str(folder), local_files_only=True, trust_remote_code=False, **options)
    except Exception as error:  # the one place that isolates a stranger's checkpoint: tokenizers raises bare Exceptions
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{folder} cannot be read as a vision-language model: {reason[:300]}") from error


@cache
def _for_images(model_type: str) -> Any:
    """Return the type's own processor without its part for videos, which needs torchvision; None if it has none."""
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES, processor_class_from_name
    from transformers.processing_utils import ProcessorMixin

    original: Any = processor_class_from_name(PROCESSOR_MAPPING_NAMES.get(model_type, ""))
    if original is None or "video_processor" not in original.get_attributes():
        return None
    module = sys.modules[original.__module__]
    if getattr(module, "num2words", True) is None:  # SmolVLM spells numbers out, of a video's frames only
        module.num2words = str  # type: ignore[attr-defined]

    class ForImages(original):  # type: ignore[misc]  # transformers is untyped
        """Images and text in, tensors out."""

        def __init__(self, image_processor: Any = None, tokenizer: Any = None, **more: Any) -> None:
            super().__init__(image_processor=image_processor, tokenizer=tokenizer, video_processor=None, **more)

        apply_chat_template = ProcessorMixin.apply_chat_template  # SmolVLM's own asks its video processor

        @staticmethod
        def validate_init_kwargs(processor_config: Any, valid_kwargs: Any) -> Any:
            """Accept what the original accepts."""
            return ProcessorMixin.validate_init_kwargs(processor_config, list(signature.parameters))

        def to_dict(self) -> dict[str, Any]:
            """Keep an entry for the part for videos, so that what is saved here loads where there is torchvision."""
            return {**super().to_dict(), "video_processor": {}}

        def __reduce__(self) -> Any:
            """Support pickling to spawned processes: a class made here cannot be found by its name."""
            return _blank, (model_type,), self.__dict__

    signature = inspect.signature(original.__init__)
    kept = [p for name, p in signature.parameters.items() if name != "video_processor"]
    signature = signature.replace(parameters=kept)
    ForImages.__init__.__signature__ = signature  # type: ignore[attr-defined]  # where transformers looks for the parts
    ForImages.__name__ = original.__name__
    return ForImages


def _blank(model_type: str) -> Any:
    kind = _for_images(model_type)
    return kind.__new__(kind)
