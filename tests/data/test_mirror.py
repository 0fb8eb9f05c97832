from __future__ import annotations

import numpy as np
import pytest

from hamster.data.mirror import is_sided, mirrored
from hamster.sim.language import OFFDOMAIN, commands
from hamster.sim.offdomain import sample_scene


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("press the LEFT button", "press the RIGHT button"),
        ("Leftmost cube, right of the bowl", "Rightmost cube, left of the bowl"),
        ("the right most one, right next to the bowl", "the left most one, right next to the bowl"),
        ("it should be left on the right plate right away", "it should be left on the left plate right away"),
        ("a bright, upright thing", "a bright, upright thing"),
        (
            "the cube to the robot's left, not the one on your right",
            "the cube to the robot's right, not the one on your left",
        ),
    ],
)
def test_sides_change_and_nothing_else(text: str, expected: str) -> None:
    assert mirrored(text) == expected and mirrored(expected) == text


def test_every_side_of_the_generator_is_mirrored_and_is_still_a_sentence_of_as_many_words() -> None:
    sided = 0
    for i in range(20):
        rng = np.random.default_rng(i)
        for command in commands(sample_scene(rng), rng, 24, OFFDOMAIN):
            other = mirrored(command.instruction)
            assert len(other.split()) == len(command.instruction.split()) and mirrored(other) == command.instruction
            if "side" in command.way.split()[0] and "robot_nearest" not in command.way:
                sided += is_sided(command.instruction)
            if command.way == "side extreme":
                assert other != command.instruction, command.instruction
    assert sided > 30
