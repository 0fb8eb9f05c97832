import pytest

from hamster.benchmarks import evaluate


@pytest.mark.parametrize(("seconds_of_two", "holds"), [(0.1, True), (0.18, False)])
def test_the_ratio_is_that_of_seconds_per_episode_once_the_processes_run(seconds_of_two, holds, monkeypatch):
    clock_s = [0.0]

    def fake(config, progress):
        n = config.episodes * len(config.planners)

        def records():
            for i in range(n):
                clock_s[0] += 30.0 if i < 2 else {1: 0.2, 2: seconds_of_two}[config.workers]  # first, models are loaded
                yield {}

        assert sum(1 for _ in progress(records(), 0, n)) == n and not config.videos

    monkeypatch.setattr(evaluate, "evaluate_config", fake)
    monkeypatch.setattr(evaluate.time, "perf_counter", lambda: clock_s[0])
    [ratio] = evaluate.bench_evaluate(scenes=10)
    assert (ratio.slow_s, ratio.fast_s, ratio.limit) == (pytest.approx(0.2), pytest.approx(seconds_of_two), 1.7)
    assert ratio.to_json()["holds"] is holds and "of 30" in ratio.name
