"""Chat requests of OpenAI's, vLLM's and HAMSTER_beta's clients; fields that are not listed here are refused by name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from hamster.serving.planner.errors import ServeError, invalid


class StrictModel(BaseModel):
    """A model that refuses unknown fields and other types."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class ImageUrl(StrictModel):
    """`url` is a data URI; `detail` changes nothing, as images are always seen as the model was trained."""

    url: str
    detail: Literal["auto", "low", "high"] | None = None


class ImagePart(StrictModel):
    """An image in a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


class TextPart(StrictModel):
    """Text in a message."""

    type: Literal["text"]
    text: str


def _content_kind(value: Any) -> str | None:
    return "<text>" if isinstance(value, str) else "<parts>" if isinstance(value, list) else None


def _part_kind(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{kind}>" if kind in ("image_url", "text") else None


# Which branch of a union is meant is decided before it is checked, so that errors are about that branch. Its tag, in
# angle brackets, is left out of the place that an error names.
Part = Annotated[
    Annotated[ImagePart, Tag("<image_url>")] | Annotated[TextPart, Tag("<text>")],
    Discriminator(
        _part_kind,
        custom_error_type="part_kind",
        custom_error_message="must be an object whose type is image_url or text",
    ),
]
Content = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[list[Part], Field(max_length=64), Tag("<parts>")],
    Discriminator(
        _content_kind, custom_error_type="content_kind", custom_error_message="must be a text or a list of parts"
    ),
]


class ChatMessage(StrictModel):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Content
    name: str | None = None

    @property
    def text(self) -> str:
        """All of its text."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def images(self) -> list[str]:
        """Its images, as data URIs."""
        if isinstance(self.content, str):
            return []
        return [part.image_url.url for part in self.content if isinstance(part, ImagePart)]


class StructuredOutputs(StrictModel):
    """vLLM's name for constrained decoding."""

    regex: Annotated[str, Field(max_length=4000)]


class ResponseFormat(StrictModel):
    """OpenAI's name for it; only text can be had here."""

    type: str
    json_schema: dict[str, Any] | None = None


class StreamOptions(StrictModel):
    """`include_usage`: one more chunk says how many tokens there were."""

    include_usage: bool = False
    include_obfuscation: bool = False


class ChatRequest(StrictModel):
    """The body of a chat request. `user` and `metadata` are for whoever reads logs; the rest is honoured or refused.

    `abstains` is ours: false keeps a model that decides by itself that nothing is in view from saying so.
    """

    model: str
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=64)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logprobs: bool | None = None
    top_logprobs: Literal[0] | None = None
    prompt_logprobs: Literal[0] | None = None
    add_generation_prompt: bool | None = None
    structured_outputs: StructuredOutputs | None = None
    guided_regex: Annotated[str, Field(max_length=4000)] | None = None
    response_format: ResponseFormat | None = None
    stop: Annotated[list[str], Field(max_length=0)] | None = None
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    num_beams: Literal[1] | None = None
    use_cache: bool | None = None
    abstains: bool | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None

    @property
    def limit(self) -> int | None:
        """The most tokens of an answer, by the field's new name or its old one."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def regex(self) -> str:
        """What answers must match, "" for none."""
        return self.structured_outputs.regex if self.structured_outputs else self.guided_regex or ""


def read_chat(body: bytes) -> ChatRequest:
    """Parse a request's body; ServeError that names the field at fault."""
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise invalid_field(error) from None


def invalid_field(error: ValidationError) -> ServeError:
    """Return an error for the first invalid field, without the body."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"] if not str(part).startswith("<"))[:100]
    message = "unknown or unsupported field" if first["type"] == "extra_forbidden" else first["msg"]
    return invalid(f"{field}: {message}" if field else message, field or None, _code(first["type"]))


def _code(kind: str) -> str:
    return {"json_invalid": "invalid_json", "extra_forbidden": "unknown_field"}.get(kind, "invalid_field")
