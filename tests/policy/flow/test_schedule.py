import math

import pytest
import torch
from torch import Tensor

from hamster.policy.flow.schedule import (
    SCHEDULES,
    TRAINING_LEVELS,
    Diffusion,
    Network,
    RectifiedFlow,
    Schedule,
    alpha_bar,
)

MEAN, SPREAD = 0.7, 0.3


def _oracle(schedule: Schedule) -> Network:
    """What a perfect network says if actions are normal: `target` is linear in action and noise, so is its mean."""

    def network(x: Tensor, time: Tensor) -> Tensor:
        ones = torch.ones_like(x[..., 0]).double()
        x, time = x.double(), time.double()
        a, b = (schedule.add_noise(*pair, time)[..., None] for pair in ((ones, 0 * ones), (0 * ones, ones)))
        wa, wb = (schedule.target(*pair, time)[..., None] for pair in ((ones, 0 * ones), (0 * ones, ones)))
        gain = (a * wa * SPREAD**2 + b * wb) / (a**2 * SPREAD**2 + b**2)
        return (wa * MEAN + gain * (x - a * MEAN)).float()

    return network


@pytest.mark.parametrize(("name", "steps"), [("flow", 100), ("ddim", 50), ("ddpm", TRAINING_LEVELS)])
def test_a_perfect_network_yields_the_distribution_of_actions(name: str, steps: int) -> None:
    schedule, generator = SCHEDULES[name], torch.Generator().manual_seed(0)
    noise = torch.randn(1, 4000, 1, generator=generator)
    drawn = schedule.sample(noise, _oracle(schedule), steps, generator)
    assert drawn.mean() == pytest.approx(MEAN, abs=0.03)
    assert drawn.std() == pytest.approx(SPREAD, abs=0.03)


@pytest.mark.parametrize("name", ["flow", "ddim", "ddpm"])
@pytest.mark.parametrize("steps", [1, 5, 10])
def test_one_known_action_is_reached_in_any_number_of_steps(name: str, steps: int) -> None:
    schedule, action = SCHEDULES[name], torch.randn(2, 3, 4, 9)

    def network(x: Tensor, time: Tensor) -> Tensor:
        share = alpha_bar(time).view(2, 3, 1, 1)
        noise = (x - share.sqrt() * action) / (1 - share).sqrt()
        if isinstance(schedule, RectifiedFlow):
            at = time.view(2, 3, 1, 1)
            noise = (x - at * action) / (1 - at)
        return schedule.target(action, noise, time)

    drawn = schedule.sample(torch.randn(2, 3, 4, 9), network, steps, torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn, action, atol=2e-3, rtol=0)


def test_a_step_of_ddpm_is_the_textbook_posterior_and_ddim_goes_to_its_mean_without_noise() -> None:
    """Ho et al. 2020, equations 6 and 7, written out."""
    now, then = (float(alpha_bar(torch.tensor(at / TRAINING_LEVELS, dtype=torch.float64))) for at in (40, 41))
    alpha, x, action = now / then, 0.8, -0.4
    beta = 1 - alpha
    mean = math.sqrt(then) * beta / (1 - now) * action + math.sqrt(alpha) * (1 - then) / (1 - now) * x
    variance = (1 - then) / (1 - now) * beta
    fresh = math.sqrt((1 - then) / (1 - now) * (1 - now / then))
    noise = (x - math.sqrt(now) * action) / math.sqrt(1 - now)
    assert fresh**2 == pytest.approx(variance)
    assert math.sqrt(then) * action + math.sqrt(1 - then - fresh**2) * noise == pytest.approx(mean)


def test_ddpm_without_fresh_noise_is_ddim_and_draws_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    noise, oracle = torch.randn(1, 5, 2), _oracle(Diffusion(0.0))
    same = Diffusion(0.0).sample(noise, oracle, 20, generator)
    torch.testing.assert_close(same, SCHEDULES["ddim"].sample(noise, oracle, 20, generator))
    assert torch.equal(generator.get_state(), state)
    assert not torch.allclose(SCHEDULES["ddpm"].sample(noise, oracle, 20, generator), same)


@pytest.mark.parametrize("name", ["flow", "ddim"])
def test_times_are_in_range_and_noise_is_all_there_is_at_the_start(name: str) -> None:
    schedule = SCHEDULES[name]
    times = schedule.times((1000, 4), torch.Generator().manual_seed(0))
    assert times.min() >= 0 and times.max() <= 1 and times.std() > 0.2
    action, noise = torch.randn(2, 3, 1, 9), torch.randn(2, 3, 1, 9)
    torch.testing.assert_close(schedule.add_noise(action, noise, torch.zeros(2, 3)), noise, atol=0.05, rtol=0)
    torch.testing.assert_close(schedule.add_noise(action, noise, torch.ones(2, 3)), action)
