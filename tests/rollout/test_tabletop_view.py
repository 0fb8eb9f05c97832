import numpy as np
import pytest

from hamster.rollout.tabletop import TabletopEnvironment
from hamster.rollout.tabletop_view import TabletopView, described
from hamster.sim.expert import execute, plan

pytestmark = pytest.mark.slow


@pytest.fixture
def env():
    env = TabletopEnvironment("pick_place", 0)
    yield env
    env.close()


@pytest.fixture
def view(env):
    view = TabletopView(env, 320)
    yield view
    view.close()


def named(view, name):
    return next(thing for thing in view.things() if thing.name == name)


def test_things_are_where_the_image_shows_them(env, view):
    rgb = view.image()
    assert rgb.shape == (320, 320, 3)
    for thing in view.things():
        assert 0 < thing.uv[0] < 1 and 0 < thing.uv[1] < 1 and 0.01 < thing.radius < 0.2
    # A cup hides the table behind its centre, so the image there changes once it is elsewhere.
    cup = next(thing for thing in view.things() if thing.label.endswith(" cup"))
    column, row = (np.array(cup.uv) * 320).astype(int)
    env.gymnasium_env.world.shift(cup.name, (0.35, -0.5))
    assert np.abs(view.image()[row, column].astype(int) - rgb[row, column]).max() > 20


def test_a_thing_is_moved_to_where_it_is_dropped(view):
    thing = view.things()[0]
    places = [(u, v) for u in np.linspace(0.3, 0.7, 9) for v in np.linspace(0.5, 0.8, 9)]
    for place in places:
        try:
            view.move(thing.name, place)
        except ValueError:
            continue
        assert np.allclose(named(view, thing.name).uv, place, atol=0.01)
        return
    pytest.fail("there is room nowhere")


@pytest.mark.parametrize(
    ("name", "uv", "why"),
    [("unicorn", (0.5, 0.5), "thing0"), ("thing0", (0.5, 0.0), "reach"), ("thing0", (1.0, 1.0), "reach")],
)
def test_what_cannot_be_is_refused_in_words_and_nothing_moves(view, name, uv, why):
    before = view.things()
    with pytest.raises(ValueError, match=why):
        view.move(name, uv)
    assert view.things() == before


def test_two_things_are_never_at_one_place(view):
    first, second = view.things()[:2]
    with pytest.raises(ValueError, match=f"{second.label} is in the way"):
        view.move(first.name, second.uv)


def test_what_is_done_is_said(env, view):
    command, scene = env.command, env.gymnasium_env.world.scene
    assert view.tasks_done() == []
    execute(env.gymnasium_env.world, plan(env.gymnasium_env.world, command))
    assert env.is_success(command)
    target, goal = described(scene.thing(command.target)), described(scene.thing(command.goal))
    assert view.tasks_done() == [f"{target} is on {goal}"]


def test_a_thing_that_the_robot_holds_stays(env, view):
    world = env.gymnasium_env.world
    keyposes = plan(world, env.command)
    grasp = next(i for i, keypose in enumerate(keyposes) if not keypose.gripper_open)
    execute(world, keyposes[: grasp + 2])
    assert world.held_thing() == env.command.target
    with pytest.raises(ValueError, match="holds"):
        view.move(env.command.target, (0.5, 0.6))
