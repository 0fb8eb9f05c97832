"""How many tokens a path takes, with a tokenizer that takes digits one by one, as Qwen's does."""

import numpy as np
import pytest
from tokenizers import Tokenizer

from hamster.dialects import render
from hamster.path import Path2D
from tests.planner.tiny import _bpe


@pytest.mark.parametrize("seed", range(20))
def test_compact_takes_less_than_half_of_hamsters_tokens(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 11))
    events = rng.permutation(count)[: rng.integers(0, 3)]
    gripper = np.full(count, -1, np.int8)
    for k, at in enumerate(sorted(events)):
        gripper[at:] = k % 2
    path = Path2D(rng.random((count, 2)), gripper)
    tokenizer = Tokenizer.from_str(_bpe())
    hamster, compact = (len(tokenizer.encode(render(path, dialect)).ids) for dialect in ("hamster", "compact"))
    assert compact <= 6 * count + len(events) + 1 and compact <= hamster / 2
