"""Find the answer in a model's text: after the thinking, in the answer tag, in the code fence.

The same for every dialect. What is no answer becomes filler of the same length, so that every character keeps its
place and messages can name it.
"""

from __future__ import annotations

import re

from hamster.dialects.marks import FILLER, fail

Span = tuple[int, int]
MAX_SPANS = 100

_THOUGHT = (
    r"(?:(?:think(?:ing)?|thoughts?|reason(?:ing)?)(?:_?(?:process|trace|steps))?|reflection|scratch_?pad|analysis|"
    r"rationale|(?:inner_|internal_)?monologue|chain_of_thought|cot|internal|deliberation|brainstorm(?:ing)?|draft)"
)
_LEFT, _RIGHT = r"(?:<|&lt;|\\u003c|＜|◁)(?:\||｜)?\s{0,4}", r"\s{0,4}(?:\||｜)?(?:>|&gt;|\\u003e|＞|▷)"
# <think>, <thinking effort="high">, <seed:think>, ◁think▷, <|begin_of_thought|>, <|START_THINKING|>, [THINK],
# <|channel|>analysis<|message|>, the same where a tokenizer left out its special tokens, and Ollama's own line.
_MARK = re.compile(
    rf"""(?P<close>(?i:{_LEFT}(?:\\?/\s{{0,4}}(?:[a-z]{{1,12}}[:_])?|end_(?:of_)?){_THOUGHT}{_RIGHT})
        |\[/THINK\]
        |<\|channel\|>\s{{0,4}}final\b[^<>]{{0,40}}(?:<\|constrain\|>[^<>]{{0,40}})?(?:<\|message\|>)?
        |<channel\|>
        |assistantfinal
        |\.\.\.done\ thinking\.)
    |(?P<open>(?i:{_LEFT}(?:(?:begin|start)_(?:of_)?|[a-z]{{1,12}}[:_])?{_THOUGHT}(?:\s[^<>]{{0,80}})?{_RIGHT})
        |\[THINK\]
        |(?P<channel><\|?channel\|?>\s{{0,4}}(?:analysis|commentary|thought|thinking)\b)
        |\A\s*+analysis(?=[A-Z])
        |\A\s*+Thinking\.\.\.\n)
    |(?P<end><\|end\|>)""",
    re.VERBOSE,
)
_THOUGHT_KEY = re.compile(rf"""(\\?["'])(?i:{_THOUGHT}|reasoning_content|explanation)\1\s*+:\s*+(?=\\?["'])""")
_ANSWER_TAG = re.compile(
    r"(?P<open>(?i:<\s{0,4}(?:final[_ -]?)?answer\s{0,4}>)|<\|begin_of_(?:box|solution)\|>)"
    r"|(?P<close>(?i:<\s{0,4}/\s{0,4}(?:final[_ -]?)?answer\s{0,4}>)|<\|end_of_(?:box|solution)\|>)"
)
_ANSWER_KEY = re.compile(r"""(\\?["'])(?:final_)?answer\1\s*+:\s*+""")
_QUOTED = re.compile(
    r""""((?:[^"\\]|\\.)*+)"|'((?:[^'\\]|\\.)*+)'|\\"((?:[^"\\]|\\(?!"))*+)\\\"""", re.DOTALL
)  # as it is, or escaped within another string
_FENCE = re.compile(r"```")
_THOUGHT_FENCE = re.compile(  # ```thinking, or alone on a line with a space; a long run of marks is looked at once
    r"(?P<marks>(?<!`)`{3,}+|(?<!~)~{3,}+)"
    rf"(?:(?i:{_THOUGHT})\b|[ \t]{{1,4}}(?i:{_THOUGHT})[ \t:]{{0,4}}$)",
    re.MULTILINE,
)
_ANY_FENCE = re.compile(r"(?P<marks>`{3,}|~{3,})(?P<language>[A-Za-z]|[ \t]{1,4}[A-Za-z]{1,20}[ \t]*+$)?", re.MULTILINE)
_LANGUAGE = re.compile(r"[A-Za-z0-9_+-]*+")
_ENDS = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>", "<|return|>", "</s>", "<eos>", "<end_of_turn>")


def answer_only(text: str) -> str:
    """Return the text, at the same length, with filler for everything that is not the answer.

    Thinking is none, however it is marked: in tags, in a channel, in a code fence of that language, under a key of a
    dictionary, or before a closing tag whose opening one stood in the prompt. The answer is what follows the thinking
    (if nothing does, what precedes it); within that the content of <answer>, and the value of `answer`, if they occur.

    Raises:
        PlanError: if the text ends in the middle of thinking or of <answer>, or is nothing but thinking.
    """
    kept = _without_ends(text)
    kept = _keep(kept, [_after_thinking(text, kept)])
    kept = _keep(kept, [_after_thinking_fences(text, kept)])
    kept = _without_thinking_keys(kept)
    kept = _keep(kept, _in_answer_tags(text, kept))
    return _keep(kept, [_value_of_answer(kept)])


def answer_spans(text: str, tag: str = "") -> list[list[Span]]:
    """Return the spans to search in what `answer_only` kept, the likeliest first; those of an entry belong together.

    Args:
        text: with filler for what is no answer.
        tag: which encloses the dialect's answers, without brackets; used where it occurs.
    """
    whole = _stretches(text)
    if tag and (tagged := _between(text, tag)):
        return [tagged]
    fenced = _fenced(text)
    return [fenced, whole] if fenced else [whole]


def _keep(text: str, spans: list[Span]) -> str:
    parts, at = [], 0
    for start, end in spans:
        parts += [FILLER * (start - at), text[start:end]]
        at = end
    return "".join([*parts, FILLER * (len(text) - at)])


def _without_ends(text: str) -> str:
    """Return the text without the special tokens that end a turn."""
    end = len(text)
    for _ in range(len(_ENDS)):
        bare = len(text[:end].rstrip())
        end = next((bare - len(token) for token in _ENDS if text[:bare].endswith(token)), end)
    return text[:end] + FILLER * (len(text) - end)


def _after_thinking(text: str, kept: str) -> Span:
    """Return the last stretch outside of all thinking that says anything."""
    open_: re.Match[str] | None = None
    outside: list[Span] = []
    start = 0
    for mark in _MARK.finditer(kept):
        if mark["open"]:
            if open_ is None:
                outside.append((start, mark.start()))
                open_ = mark
        elif mark["close"]:
            if open_ is None:  # it was opened before the text began, or a second time within
                outside = []
            open_, start = None, mark.end()
        elif open_ is not None and open_["channel"]:
            open_, start = None, mark.end()
    if open_ is not None:
        fail(text, f"cut off: the thinking from character {open_.start()} on never ends; the text ends", len(text))
    outside.append((start, len(text)))
    speaking = [span for span in outside if kept[slice(*span)].strip()]
    if not speaking and start:
        fail(text, "nothing but thinking, and no answer after it", len(text))
    return speaking[-1] if speaking else (0, len(text))


def _after_thinking_fences(text: str, kept: str) -> Span:
    """Return the last non-empty stretch outside of all code fences of the language `thinking`."""
    outside: list[Span] = []
    start = 0
    while opening := _THOUGHT_FENCE.search(kept, start):
        outside.append((start, opening.start()))
        start = _end_of_fence(text, kept, opening)
        if len(outside) > MAX_SPANS:
            fail(text, f"more than {MAX_SPANS} code fences with thinking", opening.start())
    outside.append((start, len(text)))
    speaking = [span for span in outside if kept[slice(*span)].strip().strip(FILLER)]
    if not speaking and start:
        fail(text, "nothing but thinking, and no answer after it", len(text))
    return speaking[-1] if speaking else (0, len(text))


def _end_of_fence(text: str, kept: str, opening: re.Match[str]) -> int:
    """Return where a code fence ends: other fences in it name a language where they begin, and none where they end."""
    depth = 1
    for fence in _ANY_FENCE.finditer(kept, opening.end()):
        if fence["marks"][0] != opening["marks"][0] or len(fence["marks"]) < len(opening["marks"]):
            continue
        depth += 1 if fence["language"] else -1
        if not depth:
            break
    else:
        fail(text, f"cut off: the thinking from character {opening.start()} on never ends; the text ends", len(text))
    return fence.end("marks")


def _without_thinking_keys(text: str) -> str:
    parts, at = [], 0
    for key in _THOUGHT_KEY.finditer(text):
        if key.start() < at:
            continue
        value = _QUOTED.match(text, key.end())
        if value is None:
            fail(text, f"cut off: the thinking from character {key.end()} on never ends; the text ends", len(text))
        quote = 2 if text[key.end()] == "\\" else 1
        start, end = value.start() + quote, value.end() - quote
        parts += [text[at:start], " " * (end - start)]  # within its quotes, so that the dictionary stays whole
        at = end
    return "".join([*parts, text[at:]])


def _in_answer_tags(text: str, kept: str) -> list[Span]:
    answers: list[Span] = []
    open_: re.Match[str] | None = None
    for mark in _ANSWER_TAG.finditer(kept):
        if mark["open"]:
            open_ = open_ or mark
        elif open_ is not None:
            answers.append((open_.end(), mark.start()))
            open_ = None
        if len(answers) > MAX_SPANS:
            fail(text, f"more than {MAX_SPANS} answers", mark.start())
    if open_ is not None:
        fail(text, f"cut off: {open_[0]} at character {open_.start()} is never closed; the text ends", len(text))
    return answers or [(0, len(text))]


def _value_of_answer(text: str) -> Span:
    """Return the answer of models that print a dictionary with their thinking and their answer."""
    keys = list(_ANSWER_KEY.finditer(text))
    if not keys:
        return 0, len(text)
    at = keys[-1].end()
    quoted = _QUOTED.match(text, at)
    if not quoted:
        return at, len(text)
    return next(quoted.span(i) for i in (1, 2, 3) if quoted[i] is not None)


def _between(text: str, tag: str) -> list[Span]:
    opening, closing = f"<{tag}>", f"</{tag}>"
    answers = []
    at = 0
    while (open_ := text.find(opening, at)) >= 0:
        close = text.find(closing, open_)
        if close < 0:
            fail(text, f"cut off: {opening} at character {open_} is never closed; the text ends", len(text))
        answers.append((open_ + len(opening), close))
        at = close + len(closing)
        if len(answers) > MAX_SPANS:
            fail(text, f"more than {MAX_SPANS} {opening}", open_)
    return answers


def _fenced(text: str) -> list[Span]:
    """Return what stands in code fences, answer by answer."""
    blocks: list[Span] = []
    for start, end in _stretches(text):
        marks = [fence.start() for fence in _FENCE.finditer(text, start, end)]
        if len(marks) > 2 * MAX_SPANS:
            fail(text, f"more than {MAX_SPANS} code fences", marks[-1])
        pairs = zip(marks[::2], marks[1::2], strict=False)
        blocks += [(_content(text, open_, close), close) for open_, close in pairs]
        if len(marks) % 2:
            # The last fence opens an answer that was cut off, or, if nothing follows, closes what the prompt opened.
            if text[_content(text, marks[-1], end) : end].strip():
                fail(text, f"cut off: the code fence at character {marks[-1]} is never closed; the text ends", end)
            if len(marks) == 1:
                blocks.append((start, marks[0]))
    return blocks


def _stretches(text: str) -> list[Span]:
    """Return what lies between fillers."""
    return [stretch.span() for stretch in re.finditer(f"[^{FILLER}]++", text)]


def _content(text: str, fence: int, end: int) -> int:
    language = _LANGUAGE.match(text, fence + 3, end)
    return language.end() if language else fence + 3
