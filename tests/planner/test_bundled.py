import time

import numpy as np
import pytest
import torch

from hamster.planner import load_planner
from hamster.planner.planner import BUNDLED

NANO = BUNDLED / "nano"

pytestmark = pytest.mark.skipif(not (NANO / "config.json").is_file(), reason="no checkpoint is bundled in this tree")


def test_it_is_small_and_holds_nothing_to_unpickle():
    files = [file for file in NANO.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 20 * 2**20
    assert {file.suffix for file in files} <= {".safetensors", ".json", ".jinja"}


def test_it_answers_within_a_second_of_one_core():
    planner = load_planner("nano")
    image = np.full((256, 256, 3), 120, np.uint8)
    image[100:140, 60:100] = [200, 30, 30]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        planner.plan(image, "press the red button")  # the first call sets things up
        began = time.process_time()
        plan = planner.plan(image, "pick up the red cube and put it on the blue plate")
        assert time.process_time() - began <= 1.0
    finally:
        torch.set_num_threads(threads)
    assert 2 <= len(plan.path) <= 8 and len(plan.path.events) >= 1
