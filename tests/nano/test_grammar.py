import pytest
import torch

from hamster.dialects import parse
from hamster.nano import tokens
from hamster.nano.grammar import AnswerGrammar


def _babble(seed, most=tokens.MAX_WAYPOINTS, dislikes_end=False):
    """What a model with random taste says under the grammar."""
    random = torch.Generator().manual_seed(seed)
    grammar = AnswerGrammar(prompt_length=2, max_waypoints=most)
    said = torch.full((4, 2), tokens.WORDS)
    for _ in range(tokens.MAX_ANSWER):
        taste = 8 * torch.randn(4, tokens.WORDS + 5, generator=random)
        if dislikes_end:
            taste[:, tokens.END] = -1e9
        allowed = grammar(said, taste)
        said = torch.cat([said, allowed.argmax(1, keepdim=True)], 1)
    return said[:, 2:].tolist()


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("dislikes_end", [False, True])
def test_any_taste_makes_a_path(seed, dislikes_end):
    names = tokens.special_tokens()
    for said in _babble(seed, dislikes_end=dislikes_end):
        path = parse("".join(names[token] for token in said if token != tokens.PAD), "nano-tokens")
        assert 1 <= len(path) <= tokens.MAX_WAYPOINTS


def test_the_number_of_waypoints_is_bounded():
    for said in _babble(0, most=3, dislikes_end=True):
        assert sum(tokens.PATCHES <= token < tokens.OFFSETS for token in said) == 3


def test_an_event_is_not_repeated():
    grammar = AnswerGrammar(0)
    said = [tokens.ANS, tokens.PATCHES, tokens.OFFSETS, tokens.CLOSE, tokens.PATCHES, tokens.OFFSETS]
    scores = grammar(torch.tensor([said]), torch.zeros(1, tokens.WORDS))
    assert scores[0, tokens.CLOSE] == -torch.inf and scores[0, tokens.OPEN] == 0
