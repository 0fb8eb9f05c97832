import mujoco
import numpy as np
import pytest

from hamster.sim.build import build
from hamster.sim.catalogue import CATALOGUE
from hamster.sim.offdomain.sample import PROPORTIONS
from hamster.sim.scene import Scene, Surface, Thing
from hamster.sim.tabletop.axes.solids import SOLIDS

KINDS = (*CATALOGUE, *SOLIDS)
PLAIN = Surface("plain", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def middle_sized(kind: str) -> Thing:
    if kind in SOLIDS:
        return SOLIDS[kind]("it", "red", (0.8, 0.1, 0.1))
    proportions = {name: (low + high) / 2 for name, (low, high) in PROPORTIONS[kind].items()}
    return CATALOGUE[kind]("it", "red", (0.8, 0.1, 0.1), **proportions)


def alone(thing: Thing) -> mujoco.MjModel:
    thing = Thing(**{**thing.__dict__, "xy": (0.5, 0.0)})
    return build(Scene("panda", (thing,), {}, PLAIN, PLAIN, (), (0.4, 0.0, 0.3, 0.0)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_stated_size_is_the_size_of_the_parts(kind: str) -> None:
    thing = middle_sized(kind)
    model = alone(thing)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    geoms = [g for g in range(model.ngeom) if model.geom(g).name.startswith("it_")]
    low = np.min([box_of(model, data, g)[0] for g in geoms], axis=0)
    high = np.max([box_of(model, data, g)[1] for g in geoms], axis=0)
    assert abs(low[2]) < 0.004, "it stands on the table"
    assert high[2] == pytest.approx(thing.size[2], abs=0.012)
    # A cup's handle and the corners of a bowl's boards stick out of the stated, graspable width.
    assert np.all(high[:2] - low[:2] < np.array(thing.size[:2]) * 1.45 + 0.01)


@pytest.mark.parametrize("kind", [k for k in KINDS if middle_sized(k).movable])
def test_it_stands_still_on_the_table(kind: str) -> None:
    thing = middle_sized(kind)
    model = alone(thing)
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, 100)
    moved = data.body("it").xpos - [0.5, 0.0, 0.0]
    assert np.abs(moved).max() < 0.006
    assert data.body("it").xmat.reshape(3, 3)[2, 2] > 0.99


def box_of(model: mujoco.MjModel, data: mujoco.MjData, geom: int) -> tuple[np.ndarray, np.ndarray]:
    centre, half = model.geom_aabb[geom].reshape(2, 3)
    rotation = data.geom_xmat[geom].reshape(3, 3)
    middle = data.geom_xpos[geom] + rotation @ centre
    reach = np.abs(rotation) @ half
    return middle - reach, middle + reach
