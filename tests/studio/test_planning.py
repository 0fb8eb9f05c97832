import pytest

from hamster.dialects import render
from hamster.path import Path2D
from hamster.studio.planning import partial_waypoints

PATH = Path2D([[0.2, 0.2], [0.5, 0.75], [0.75, 0.5]], [-1, 0, 1])
SIZE = (640, 480)


@pytest.mark.parametrize("dialect", ["hamster", "nano-tokens", "compact", "qwen3-vl", "molmo"])
def test_an_answer_that_grows_shows_more_and_more_of_the_path(dialect):
    answer = render(PATH, dialect, SIZE)
    counts = [len(partial_waypoints(answer[:end], dialect, SIZE)) for end in range(len(answer) + 1)]
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] == 3 and set(counts) >= {0, 1, 3}


@pytest.mark.parametrize("text", ["", "I think", "<ans></ans>", "<ans>[(0.2, 9"])
def test_what_is_no_path_yet_shows_none(text):
    assert partial_waypoints(text, "hamster", SIZE) == ()
