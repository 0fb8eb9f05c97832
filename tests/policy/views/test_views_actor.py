from dataclasses import replace

import numpy as np
import pytest
import synthetic
import torch

from hamster.data import Observation, View
from hamster.geometry import pose
from hamster.path import Path2D
from hamster.policy.actor import Target
from hamster.policy.path_prompt import PathPrompt
from hamster.policy.policy_input import PointBatch, PolicyInput, RobotState
from hamster.policy.views.actor import ViewsActor
from hamster.policy.views.config import NANO, RVT2, ViewsConfig
from hamster.policy.views.inputs import ViewsInputs

pytestmark = pytest.mark.slow

Moment = tuple[Observation, Path2D]
Demonstration = tuple[list[PolicyInput], Target]
SMALL = ViewsConfig(
    points_px=64,
    view_px=32,
    stem_width=8,
    width=32,
    heads=2,
    layers=2,
    head_width=32,
    jitter=0.04,
    conditioners=("cloud", "tokens", "channels", "overlay"),
)


@pytest.fixture(scope="module")
def episode() -> Demonstration:
    """All keyposes of one demonstration: the input before it, and where it is."""
    rng = np.random.default_rng(3)
    arrays, labels = synthetic.episode(synthetic.sample_scene(rng), "pick_place", rng, size=96, between=0)
    scenes, targets, before = [], [], None
    for i in np.flatnonzero(arrays["keyframe"])[:-1]:
        depth_m = arrays["depth_mm10_front"][i].astype(np.float32) * np.float32(1e-4)
        view = View(arrays["rgb_front"][i], depth_m, synthetic.front_camera(96))
        tool, goal = arrays["tool_poses_world"][i], arrays["keyposes"][arrays["keypose_index"][i]]
        path = Path2D.from_json(labels["labels"][i]["path"])
        body = RobotState(tool, float(arrays["gripper"][i]), True, before)
        scenes.append(PolicyInput({"front": view}, body, PathPrompt(path, view)))
        targets.append(_target(tool, goal, bool(arrays["keypose_open"][arrays["keypose_index"][i]])))
        before = RobotState(tool, 0.0, False)
    return scenes, Target.stack(targets)


def _target(tool: np.ndarray, goal: np.ndarray, is_open: bool) -> Target:
    position = torch.from_numpy(goal[None, :3, 3] - tool[:3, 3]).float()
    rotation = torch.from_numpy(goal[None, :3, :3]).float()
    return Target(
        position, rotation, torch.tensor([float(is_open)]), torch.tensor(0.0), torch.tensor([goal[2, 3] < 0.1]).float()
    )


def _actor(config: ViewsConfig, all_random: bool = True) -> ViewsActor:
    """Untrained; `all_random` if also weights that start at zero are random."""
    torch.manual_seed(0)
    actor = ViewsActor(config).eval()
    for parameter in actor.parameters():
        if all_random and not parameter.any():
            torch.nn.init.normal_(parameter, 0, 0.05)
    return actor


def _inputs(actor: ViewsActor, *scenes: PolicyInput) -> ViewsInputs:
    return ViewsInputs.stack([actor.preprocess(scene) for scene in scenes])


@pytest.fixture(scope="module")
def trained(episode: Demonstration) -> ViewsActor:
    """Has moment one demonstration, again and again."""
    scenes, target = episode
    actor = _actor(SMALL, all_random=False).train()
    inputs, generator = _inputs(actor, *scenes), torch.Generator().manual_seed(0)
    steps = 100
    optimiser = torch.optim.AdamW(actor.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps)
    for _ in range(steps):
        loss = torch.stack(list(actor.compute_loss(inputs, target, generator).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(actor.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return actor.eval()


def _shifted(points: dict[str, PointBatch]) -> dict[str, PointBatch]:
    return {name: PointBatch(p.positions + 5, p.features + 5, p.valid) for name, p in points.items()}


@torch.inference_mode()
def _predict(actor: ViewsActor, *scenes: PolicyInput) -> dict[str, torch.Tensor]:
    return vars(actor.predict(_inputs(actor, *scenes), torch.Generator()))


def test_one_demonstration_is_learnt_to_a_centimetre(trained: ViewsActor, episode: Demonstration) -> None:
    scenes, target = episode
    prediction = _predict(trained, *scenes)
    assert (prediction["position"] - target.position).norm(dim=-1).max() < 0.01
    assert torch.equal(prediction["is_open"] > 0.5, target.is_open > 0.5)
    assert torch.equal(prediction["contact_prob"] > 0.5, target.contact > 0.5)
    assert (prediction["score"] > 0.5).all() and (prediction["done"] < 0.5).all()


def test_moving_scene_path_and_tool_moves_the_action_with_them(trained: ViewsActor, episode: Demonstration) -> None:
    scenes, _ = episode
    for by in ([0.31, -0.57, 0.22], [-3.0, 11.0, 0.001]):
        there = [scene.moved(pose(np.array(by), np.eye(3))) for scene in scenes]
        for name, value in _predict(trained, *scenes).items():
            torch.testing.assert_close(_predict(trained, *there)[name], value, atol=1e-4, rtol=0)


def test_bfloat16_moves_a_waypoint_by_less_than_a_millimetre(trained: ViewsActor, episode: Demonstration) -> None:
    scenes, _ = episode
    exact = _predict(trained, *scenes)["position"]
    with torch.autocast("cpu", torch.bfloat16):
        rough = _predict(trained, *scenes)["position"]
    assert 0 < (rough - exact).norm(dim=-1).max() < 1e-3


def test_scenes_of_a_batch_do_not_see_each_other(trained: ViewsActor, episode: Demonstration) -> None:
    scenes, _ = episode
    together, alone = _predict(trained, *scenes), _predict(trained, scenes[2])
    for name, value in alone.items():
        torch.testing.assert_close(together[name][2:3], value, atol=1e-4, rtol=1e-4)


def test_the_path_decides_and_what_is_not_there_does_not(trained: ViewsActor, episode: Demonstration) -> None:
    without = replace(episode[0][0], prompt=None)
    inputs = _inputs(trained, without)
    nonsense = replace(inputs, path_points=_shifted(inputs.path_points))
    with torch.inference_mode():
        expected = trained.predict(inputs, torch.Generator()).position
        assert torch.equal(trained.predict(nonsense, torch.Generator()).position, expected)
    assert (_predict(trained, episode[0][0])["position"] - expected).norm() > 1e-3


def test_a_checkpoint_without_paths_behaves_the_same_with_every_conditioner(
    episode: Demonstration,
) -> None:
    scene = episode[0][0]
    plain = _actor(replace(SMALL, conditioners=()), all_random=False)
    conditioned = _actor(replace(SMALL, conditioners=("cloud", "tokens", "channels")), all_random=False)
    missing = conditioned.load_state_dict(plain.state_dict(), strict=False)
    assert missing.missing_keys and not missing.unexpected_keys
    expected = _predict(plain, scene)
    for name, value in _predict(conditioned, scene).items():
        assert torch.equal(value, expected[name])


@pytest.mark.parametrize("name", SMALL.conditioners)
def test_each_conditioner_alone_shows_the_path(name: str, episode: Demonstration) -> None:
    actor, scene = _actor(replace(SMALL, conditioners=(name,))), episode[0][0]
    inputs, without = _inputs(actor, scene), _inputs(actor, replace(scene, prompt=None))
    target = Target.stack([_target(scene.robot.tool_pose_world, scene.robot.tool_pose_world, True)])
    losses = [actor.compute_loss(i, target, torch.Generator().manual_seed(0))["heat0"] for i in (inputs, without)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize(
    "config",
    [
        replace(SMALL, stages=1),
        replace(SMALL, stages=3, shared=True, rotation="six"),
        replace(
            SMALL,
            virtual_views=("top", "front", "right", "left", "back"),
            stem=(8,),
            max_instruction_tokens=5,
            points_px=200,
        ),
    ],
)
def test_every_configuration_learns_and_predicts(config: ViewsConfig, episode: Demonstration) -> None:
    scenes, target = episode
    actor = _actor(config)
    inputs = _inputs(actor, *(replace(scene, instruction="put it there") for scene in scenes))
    losses = actor.compute_loss(inputs, target, torch.Generator().manual_seed(0))
    torch.stack(list(losses.values())).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in actor.parameters())
    prediction = actor.predict(inputs, torch.Generator())
    assert prediction.position.shape == (len(scenes), 1, 3) and prediction.rotation.shape == (len(scenes), 1, 3, 3)
    assert prediction.position.abs().max() <= config.half_m * sum(config.zoom**-s for s in range(config.stages))
    assert ((prediction.score >= 0) & (prediction.score <= 1)).all()


def test_no_layer_keeps_statistics_of_batches() -> None:
    assert not any(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in ViewsActor(NANO).modules())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"virtual_views": ("top", "below")}, "unknown virtual views below; there are: top, front"),
        ({"virtual_views": ("top",)}, "do not show all three axes"),
        ({"view_px": 60}, "not a multiple of the patch, 8 px"),
        ({"stages": 4}, "1 to 3 stages, not 4"),
        ({"heads": 3}, "128 is not a multiple of the heads, 3"),
        ({"conditioners": ("foveas",)}, "unknown conditioner 'foveas'"),
        ({"action_type": "chunk", "horizon": 4}, "predicts keyposes"),
    ],
)
def test_impossible_configurations_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(NANO, **change)


def test_the_published_sizes_are_as_published() -> None:
    assert len(RVT2.cameras) * RVT2.points_px**2 == 65536
    assert len(RVT2.virtual_views) * (RVT2.view_px // RVT2.patch_px) ** 2 == 768 and RVT2.max_instruction_tokens == 77
    assert (RVT2.view_px, RVT2.width, RVT2.layers, RVT2.heads, RVT2.stages) == (224, 512, 8, 8, 2)
