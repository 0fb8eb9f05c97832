from dataclasses import replace
from pathlib import Path

import pytest
import synthetic
import torch

from hamster.cli import main
from hamster.policy.checkpoint import save
from hamster.policy.config import ActorConfig
from hamster.policy.image.config import ImageConfig
from hamster.policy.registry import build_actor
from hamster.policy.training import frames
from hamster.policy.training.presets import PRESETS
from hamster.policy.training.skew import check_skew
from hamster.policy.views.config import ViewsConfig

FLOW = replace(PRESETS["debug"].actor, conditioners=("tokens", "foveas", "channels", "overlay", "cloud"))
IMAGE = ImageConfig(image_px=32, width=32, heads=2, conditioners=("overlay", "channels", "tokens"))
VIEWS = ViewsConfig(points_px=32, view_px=16, width=32, heads=2, layers=2)


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write(tmp_path_factory.mktemp("demos"), {"pick_place": 1, "press": 1}, size=48)


@pytest.mark.parametrize("config", [FLOW, IMAGE, VIEWS], ids=lambda config: config.type)
def test_training_and_service_see_the_same(demonstrations: Path, config: ActorConfig) -> None:
    torch.manual_seed(0)
    report = check_skew(build_actor(config), demonstrations, 12)
    assert {difference.field for difference in report.fields} & {"robot.gripper", "gripper"}
    assert all(d.differing == 0 == d.largest and d.frames > 6 for d in report.fields)
    assert len(report.rounding_mm) == report.fields[0].frames
    assert 0 < report.rounding_mm.max() < 500  # not the same arithmetic; these weights are random


def test_a_difference_is_found_and_is_an_exit_code(
    demonstrations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "ckpt", build_actor(FLOW))
    command = ["check-skew", str(tmp_path / "ckpt"), "--data", str(demonstrations), "--frames", "5"]
    assert main(command) == 0 and "training and service see the same" in capsys.readouterr().out
    monkeypatch.setattr(frames, "HALF_OPEN", 2.0)  # training now believes that the gripper is closed at the start
    (gripper,) = (d for d in check_skew(build_actor(FLOW), demonstrations, 5).fields if d.field == "robot.gripper")
    assert gripper.differing and gripper.largest == 1  # of the command; the measured opening is the same
    with pytest.raises(SystemExit) as exit_:
        main(command)
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert exit_.value.code == 1 and "differ" in lines["robot.gripper"] and "identical" in lines["crops.rgb"]
