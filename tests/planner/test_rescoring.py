"""A conversation told with its last answer: as it was asked, then as it was said, in every template."""

import pytest

from hamster.planner.load_model import load_processor
from hamster.planner.rescoring import FIELDS, rescoring_template
from tests.planner.tiny import TYPES, tiny

ASKED = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "go there"}]}


@pytest.mark.parametrize("model_type", TYPES)
@pytest.mark.parametrize("said", ["<ans>[(0.25, 0.32)]</ans>", [{"type": "text", "text": "12 30."}]])
def test_what_was_asked_is_told_as_it_was_asked(model_type, said, tmp_path):
    processor = load_processor(tiny(model_type, tmp_path))
    end = processor.tokenizer.eos_token
    template = rescoring_template(processor.chat_template, end)

    def told(turns, ask, template):
        return processor.apply_chat_template(turns, chat_template=template, add_generation_prompt=ask, tokenize=False)

    prompt = told([ASKED], True, processor.chat_template)
    words = said if isinstance(said, str) else said[0]["text"]
    again = told([ASKED, {"role": "assistant", "content": said}], FIELDS["add_generation_prompt"], template)
    assert again == prompt + words + end
    more = [ASKED, {"role": "assistant", "content": [{"type": "text", "text": "yes"}]}, ASKED]
    for turns in ([ASKED], more):  # an ordinary conversation is told as ever
        assert told(turns, True, template) == told(turns, True, processor.chat_template)
