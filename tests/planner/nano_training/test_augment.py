import numpy as np
import pytest
import torch

from hamster.planner.nano_training import augment
from hamster.planner.nano_training.augment import NONE, Augmentation

STRONG = Augmentation(zoom=0.4, shift=0.2, aspect=0.3, untouched=0.0)


def _boxes(rng, batch=200):
    corners = rng.random((2, batch, 2))
    return corners.min(0), corners.max(0)


def test_waypoints_stay_inside():
    rng = np.random.default_rng(0)
    low, high = _boxes(rng)
    scale, shift = augment.frame(low, high, STRONG, rng)
    new = (np.stack([low, high]) - shift) / scale
    moved = ~((scale == 1).all(1) & (shift == 0).all(1))
    assert moved.mean() > 0.5
    assert new[:, moved].min() >= augment.MARGIN - 1e-9 and new[:, moved].max() <= 1 - augment.MARGIN + 1e-9


def test_pixels_and_masks_move_with_the_waypoints():
    """A dot and its mask are found where the frame says that its place went."""
    rng = np.random.default_rng(1)
    batch, side = 32, 128
    rgb, masks = torch.zeros(batch, 3, side, side), torch.full((batch, side, side), 255, dtype=torch.uint8)
    places = rng.integers(20, 108, (batch, 2))
    for i, (x, y) in enumerate(places):
        rgb[i, :, y - 2 : y + 3, x - 2 : x + 3] = 1
        masks[i, y - 2 : y + 3, x - 2 : x + 3] = 3
    uv = (places + 0.5) / side
    scale, shift = augment.frame(uv, uv, STRONG, rng)
    moved, mask = augment.cut(rgb, masks, *(torch.from_numpy(a).float() for a in (scale, shift)))
    expected = (uv - shift) / scale * side
    for i in range(batch):
        for picture in (moved[i, 0] > 0.5, mask[i] == 3):
            found = np.argwhere(picture.numpy()).mean(0)[::-1] + 0.5
            assert np.abs(found - expected[i]).max() < 1.0


def test_nothing_is_outside_the_image():
    masks = torch.zeros(1, 8, 8, dtype=torch.uint8)
    _, moved = augment.cut(torch.zeros(1, 3, 8, 8), masks, torch.tensor([[2.0, 2.0]]), torch.tensor([[-0.5, -0.5]]))
    assert (moved[0, 2:6, 2:6] == 0).all() and (moved == 255).sum() == 64 - 16


def test_no_augmentation_leaves_images_alone():
    rng = np.random.default_rng(2)
    rgb = torch.rand(4, 3, 16, 16)
    scale, shift = augment.frame(*_boxes(rng, 4), NONE, rng)
    assert (scale == 1).all() and (shift == 0).all()
    torch.testing.assert_close(augment.colours(rgb, NONE, rng), rgb)


def test_colours_stay_colours():
    rng = np.random.default_rng(3)
    red = torch.tensor([0.85, 0.15, 0.1])[:, None, None].expand(64, 3, 16, 16)
    changed = augment.colours(red, Augmentation(untouched=0.0), rng)
    assert not torch.allclose(changed, red) and changed.min() >= 0 and changed.max() <= 1
    assert (changed.mean((2, 3)).argmax(1) == 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_cut_out_spares_objects_and_the_gripper(seed):
    rng = np.random.default_rng(seed)
    rgb = torch.rand(16, 3, 64, 64)
    masks = torch.where(torch.rand(16, 64, 64) < 0.5, 255, 0).to(torch.uint8)
    tip = rng.random((16, 2))
    painted = augment.cut_out(rgb.clone(), masks, tip, Augmentation(cutout=1.0), rng)
    changed = (painted != rgb).any(1)
    assert changed.any() and not changed[masks == 0].any()
    rows, columns = ((np.arange(64) + 0.5) / 64 for _ in range(2))
    for i in range(16):
        near = (np.abs(rows[:, None] - tip[i, 1]) < 0.15) & (np.abs(columns[None] - tip[i, 0]) < 0.15)
        assert not changed[i].numpy()[near].any()
