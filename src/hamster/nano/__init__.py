"""The bundled planner as a transformers model; importing this package registers it with the Auto classes."""

from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor

from hamster.nano.configuration import HamsterNanoConfig
from hamster.nano.modeling import HamsterNanoForConditionalGeneration
from hamster.nano.processing import HamsterNanoImageProcessor, HamsterNanoProcessor, build_processor

__all__ = [
    "HamsterNanoConfig",
    "HamsterNanoForConditionalGeneration",
    "HamsterNanoImageProcessor",
    "HamsterNanoProcessor",
    "build_processor",
]

AutoConfig.register("hamster_nano", HamsterNanoConfig, exist_ok=True)
AutoModelForImageTextToText.register(HamsterNanoConfig, HamsterNanoForConditionalGeneration, exist_ok=True)
AutoImageProcessor.register(
    HamsterNanoConfig, image_processor_classes={"pil": HamsterNanoImageProcessor}, exist_ok=True
)
AutoProcessor.register(HamsterNanoConfig, HamsterNanoProcessor, exist_ok=True)
