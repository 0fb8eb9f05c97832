"""Stages, disturbances and distances are those of the physics, whoever moves the arm."""

import numpy as np
import pytest

from hamster.geometry import Camera, look_at
from hamster.path import Path2D
from hamster.sim.expert import execute, plan
from hamster.sim.tabletop.axes.adherence import adherence
from hamster.sim.tabletop.axes.attribution import failure
from hamster.sim.tabletop.axes.progress import Progress
from hamster.sim.tabletop.axes.sample import sample
from hamster.sim.world import World


@pytest.mark.parametrize("family", ["pick_place", "press", "knock"])
def test_the_expert_passes_all_stages_and_disturbs_nothing(family: str) -> None:
    drawn = sample("basic", family, 0, 0)
    world = World(drawn.scene)
    progress = Progress(world, drawn.command)
    stages = []

    def update(keypose: int) -> None:
        progress.update()
        stages.append(progress.stage)

    n_steps = execute(world, plan(world, drawn.command), update)
    assert stages == sorted(stages) and set(stages) >= {0.0, 0.25, 0.75}
    assert progress.first_reached == progress.first_touched == "thing0"
    assert progress.disturbed() == [] and len(progress.snapshots) == len(progress.track_world) == n_steps + 1
    assert progress.lies_on() == drawn.command.goal


def test_the_way_to_another_thing_is_no_progress() -> None:
    drawn = sample("basic", "press", 0, 0)
    world = World(drawn.scene)
    other = next(t.name for t in drawn.scene.things if t.button and t.name != "thing0")
    wrong = type(drawn.command)("press", other, None, drawn.command.instruction)
    progress = Progress(world, drawn.command)
    execute(world, plan(world, wrong), lambda keypose: progress.update())
    assert progress.stage == 0.0 and progress.first_reached == progress.first_touched == other


def test_distances_are_those_of_a_known_offset() -> None:
    camera = Camera(
        np.array([[300.0, 0, 128], [0, 300.0, 128], [0, 0, 1]]), look_at((1.0, 0, 0.8), (0.4, 0, 0)), 256, 256
    )
    expert = np.linspace([0.4, -0.1, 0.2], [0.5, 0.1, 0.05], 50)
    path = Path2D(camera.project(expert)[0] / 256, np.zeros(50))
    close = adherence(expert, path, camera, expert)
    assert close.distance_m.max() < 0.004 and close.last == 49
    beside = adherence(expert + np.array([0.0, 0.0, 0.05]), path, camera, expert)
    assert 0.03 < beside.distance_m.mean() <= 0.0501 and beside.distance_px.mean() > 5 * close.distance_px.mean()


RIGHT, WRONG = {"start": True, "end": True}, {"start": False, "end": True}


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (("success", [WRONG], 0.1, False, False), ""),
        (("not_in_view", [], None, False, False), "refused"),
        (("timeout", [WRONG], 0.1, True, False), "wrong object"),
        (("timeout", [{"start": True, "end": False}], 0.1, True, False), "wrong goal"),
        (("timeout", [RIGHT, WRONG], 0.1, True, False), "later path wrong"),
        (("timeout", [RIGHT], 0.031, True, False), "not followed"),
        (("timeout", [RIGHT], 0.029, True, False), "wrong execution"),
        (("timeout", [], None, False, True), "wrong object"),
        (("timeout", [], None, True, True), "wrong goal"),
        (("timeout", [], None, True, False), "wrong execution"),
    ],
)  # fmt: skip
def test_reasons_are_tried_in_order(case: tuple, reason: str) -> None:
    assert failure(*case) == reason
