"""A decoder that stays in range: what 0.1's lacked, and why it stopped learning."""

from __future__ import annotations

import pytest
import torch

from hamster.nano import HamsterNanoConfig, HamsterNanoForConditionalGeneration, tokens
from hamster.nano.configuration import LAYOUT
from hamster.nano.norms import HeadNorm, Norm
from hamster.nano.pointers import PlaceCode
from hamster.nano.ranges import LayerRange
from hamster.planner.nano_training import optimisers

SIZES = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64,
         "tower_channels": [8, 16, 32], "tower_blocks": [0, 1], "vocab_size": tokens.WORDS + 20}  # fmt: skip
WIDTH = 32


def made(**layout: bool) -> HamsterNanoForConditionalGeneration:
    torch.manual_seed(0)
    return HamsterNanoForConditionalGeneration(HamsterNanoConfig(**SIZES, **layout))


def batch(seed: int, images: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    pixels = torch.rand(images, 3, tokens.PIXELS, tokens.PIXELS, generator=random) * 2 - 1
    return pixels, torch.randint(tokens.WORDS, tokens.WORDS + 20, (images, 3, 7), generator=random)


def trained(model: HamsterNanoForConditionalGeneration, steps: int) -> list[LayerRange]:
    """Ranges after steps of Muon at ten times the usual rate towards random places: a training that runs away."""
    rates = {"muon_lr": 0.2, "adamw_lr": 1e-2, "probe_lr": 1e-2}
    made_by = optimisers.build(model, torch.nn.Linear(1, 1), **rates, weight_decay=0.05)
    for step in range(steps):
        pixels, ids = batch(step % 3)
        wanted = (ids - tokens.WORDS) * 12 + step % 3
        logits = model.read_blocks(pixels, ids).pointers
        torch.nn.functional.cross_entropy(logits.flatten(0, 2), wanted.flatten()).backward()
        for optimiser in made_by.values():
            optimiser.step()
            optimiser.zero_grad()
    return model.ranges(*batch(0))


def test_states_and_attention_stay_in_range_where_those_of_the_old_layout_run_away() -> None:
    # A state is a word's embedding and two normed branches a layer, whose weights stay near 1.
    bound = 3 * WIDTH**0.5 * (1 + 2 * SIZES["num_hidden_layers"])
    new, old = trained(made(**LAYOUT), 25), trained(made(), 25)
    assert all(each.norm < bound for each in new) and max(each.norm for each in old) > 3 * bound
    assert all(each.sharp < 0.1 and each.logit_std < 5 and each.entropy > 1 for each in new)
    assert max(each.sharp for each in old) > 0.3


def test_ranges_are_those_of_uniform_attention_where_queries_are_nothing() -> None:
    model = made()
    for layer in model.layers:
        torch.nn.init.zeros_(layer.query.weight)
    pixels, ids = batch(1)
    for each in model.ranges(pixels, ids[:, :, :1]):
        assert each.entropy == pytest.approx(float(torch.tensor(257.0).log()), abs=1e-4)  # 256 patches and itself
        assert each.logit_std == pytest.approx(0, abs=1e-6) and each.sharp == 0


def test_the_layout_of_a_configuration_without_its_fields_is_the_old_one() -> None:
    old, new = made(), made(**LAYOUT)
    assert not any(isinstance(module, HeadNorm | PlaceCode) for module in old.modules())
    assert not any(module.is_centred for module in old.modules() if isinstance(module, Norm))
    assert all(module.is_centred for module in new.modules() if isinstance(module, Norm | HeadNorm))
    assert set(old.state_dict()) - set(new.state_dict()) == {"words.patch.weight", "answer.patch.weight"}
    added = set(new.state_dict()) - set(old.state_dict())
    assert {"words.patch.project.weight", "layers.0.query_norm.weight", "layers.3.mlp_branch_norm.weight"} <= added


def test_queries_of_any_length_give_the_same_attention() -> None:
    model, (pixels, ids) = made(**LAYOUT).eval(), batch(2)
    with torch.no_grad():
        before = model.read_blocks(pixels, ids).logits
        for layer in model.layers:
            layer.query.weight *= 100
            layer.key.weight *= 100
        torch.testing.assert_close(model.read_blocks(pixels, ids).logits, before, atol=1e-3, rtol=1e-3)


def test_places_side_by_side_are_alike_and_none_is_like_another() -> None:
    code = PlaceCode(64)
    torch.manual_seed(0)
    code.start(0.5)
    table = code.weight.detach()
    apart = torch.cdist(table, table) + torch.eye(256) * 1e9
    assert apart.min() > 0.5 and table.square().mean().sqrt() == pytest.approx(0.5, rel=0.3)
    one = torch.tensor([8 * 16 + 8])
    assert apart[one, 8 * 16 + 9] < apart[one, 8 * 16 + 14] and torch.equal(code(one), table[one])
