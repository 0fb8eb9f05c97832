import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from hamster.dialects import parse
from hamster.nano import build_processor, tokens
from hamster.planner.nano_training import batches, corpus
from hamster.planner.nano_training.augment import NONE, Augmentation
from hamster.planner.nano_training.batches import Share
from hamster.planner.nano_training.pictures import WeightedDataset, shards
from tests.label_sets import write_manifest
from tests.planner import drawn
from tests.policy import synthetic


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return drawn.write(tmp_path_factory.mktemp("drawn"), 12, seed=5, each=6, shard=8)


@pytest.fixture(scope="module")
def tokenizer(data):
    return build_processor(*corpus.texts([WeightedDataset(data)])).tokenizer


@pytest.fixture(scope="module")
def labels(data, tokenizer, tmp_path_factory):
    return corpus.load([WeightedDataset(data)], tmp_path_factory.mktemp("cache"), tokenizer)


def _lines(data):
    return [line for shard in shards(data) for line in shard.lines()]


def test_the_corpus_holds_what_the_files_say(data, tokenizer, labels):
    lines = _lines(data)
    flat = [annotation for line in lines for annotation in line["annotations"]]
    assert len(labels) == len(lines) == 12 and len(labels.ids) == len(flat)
    for i in (0, len(flat) // 2, len(flat) - 1):
        assert tokenizer.decode(labels.ids[i, : labels.length[i]]).strip() == flat[i]["instruction"]
        path = labels.path(i)
        assert path.to_json()["gripper"] == flat[i]["path"]["gripper"]
        np.testing.assert_allclose(path.uv, flat[i]["path"]["uv"], atol=1e-6)
        assert labels.tasks[labels.task[i]] == flat[i]["task"]
        assert (labels.target[i], labels.goal[i]) == (
            flat[i]["target"],
            -1 if flat[i]["goal"] is None else flat[i]["goal"],
        )


def test_mentions_lie_on_their_words(data, tokenizer, labels):
    flat = [annotation for line in _lines(data) for annotation in line["annotations"]]
    for i, annotation in enumerate(flat[:20]):
        for slot, (start, end, objects) in enumerate(annotation["mentions"]):
            word = tokenizer.decode([labels.ids[i, labels.mention[i, slot]]]).strip()
            assert word == annotation["instruction"][start:end]
            assert labels.means[i, slot] == sum(1 << o for o in objects)


def test_a_second_load_is_the_same(data, tokenizer, labels, tmp_path):
    first, second = (corpus.load([WeightedDataset(data)], tmp_path, tokenizer) for _ in range(2))
    for one in (first, second):
        np.testing.assert_array_equal(one.ids, labels.ids)
        np.testing.assert_array_equal(one.images(np.arange(12))[0], labels.images(np.arange(12))[0])


def test_larger_images_are_scaled(tokenizer, tmp_path):
    big = corpus.load(
        [WeightedDataset(drawn.write(tmp_path / "big", 2, seed=1, each=3, side=256))], tmp_path / "cache", tokenizer
    )
    rgb, masks = big.images(np.arange(2))
    assert rgb.shape == (2, 192, 192, 3) and masks.shape == (2, 192, 192)


def test_what_is_no_label_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no label set"):
        list(shards(tmp_path))
    (tmp_path / "talk.jsonl").write_bytes(b"")
    write_manifest(tmp_path, "conversations", ["talk.jsonl"])
    with pytest.raises(ValueError, match="neither episodes nor annotated images"):
        list(shards(tmp_path))


def _sample(labels, step=3, augmentation=NONE, seed=1):
    return batches.sample(labels, [Share(np.arange(12))], step, 4, 5, seed, augmentation, "cpu")


def test_a_batch_depends_on_seed_and_step_alone(labels):
    one, same, other = _sample(labels), _sample(labels), _sample(labels, step=4)
    assert torch.equal(one.pixel_values, same.pixel_values) and torch.equal(one.ids, same.ids)
    assert not torch.equal(one.pixel_values, other.pixel_values)


def test_every_image_comes_once_an_epoch():
    seen = np.concatenate([batches._order([Share(np.arange(10))], step, 4, 0) for step in range(5)])
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))


@pytest.mark.parametrize("augmentation", [NONE, Augmentation(flip=1.0)])
def test_answers_mentions_and_masks_agree(labels, augmentation):
    """The point at which the gripper closes lies where the batch says that the mentioned object is."""
    batch = _sample(labels, augmentation=augmentation)
    names, found = tokens.special_tokens(), 0
    where = {int(token): means for token, means in zip(batch.mention, batch.means, strict=True)}
    for b in range(4):
        for k in range(5):
            ids, labelled = batch.ids[b, k].numpy(), batch.labels[b, k].numpy()
            path = parse("".join(names[i] for i in labelled[labelled >= 0]), "nano-tokens")
            row = (b * 5 + k) * len(ids)
            mentioned = sorted(token - row for token in where if row <= token < row + len(ids))
            grasp = next((i for i, state in path.events if state == 0), len(path) - 1)
            column, line = (np.clip(path.uv[grasp] * 16, 0, 15)).astype(int)
            target = where[row + mentioned[1]].reshape(16, 16)
            found += bool(target[max(line - 1, 0) : line + 2, max(column - 1, 0) : column + 2].sum() > 0.2)
    assert found == 20


def test_means_are_distributions_and_coverage_is_a_share(labels):
    batch = _sample(labels, augmentation=Augmentation())
    torch.testing.assert_close(batch.means.sum(1), torch.ones(len(batch.means)))
    assert batch.coverage.min() >= 0 and batch.coverage.sum(1).max() <= 1 + 1e-6
    assert batch.pixel_values.min() >= -1 and batch.pixel_values.max() <= 1


def test_objects_that_no_word_names_are_pointed_at_all_the_same(labels):
    named, nameless = (
        _sample(each) for each in (labels, replace(labels, object_words=np.zeros_like(labels.object_words)))
    )
    assert nameless.roles.max() < nameless.coverage.shape[1] and torch.equal(nameless.roles, named.roles)
    torch.testing.assert_close(nameless.means, named.means)


def test_images_are_seen_as_often_as_their_weight_says():
    shares = [Share(np.arange(20)), Share(np.arange(100, 110), 2.0), Share(np.arange(200, 240), 0.5)]
    total = 20 + 20 + 20
    epochs = [
        np.concatenate([batches._order(shares, epoch * total // 6 + step, 6, 3) for step in range(total // 6)])
        for epoch in range(2)
    ]
    for seen in epochs:
        counts = np.bincount(seen, minlength=240)
        assert (counts[:20] == 1).all() and (counts[100:110] == 2).all()
        assert counts[200:].sum() == 20 and counts[200:].max() == 1
    assert sorted([*epochs[0][epochs[0] >= 200], *epochs[1][epochs[1] >= 200]]) == list(range(200, 240))  # by turns


def test_episodes_and_images_are_mixed(data, tokenizer, tmp_path):
    demos = synthetic.write(tmp_path / "demos", {"press": 2}, size=48)
    mixed = corpus.load([WeightedDataset(data), WeightedDataset(demos, 3.0)], tmp_path / "cache", tokenizer)
    assert mixed.sizes[0] == 12 and mixed.sizes[1] == len(mixed) - 12 > 2
    record = json.loads((demos / "ep-00000.json").read_text())["labels"][0]["path"]
    first = int(mixed.first[12])
    assert mixed.path(first).to_json()["gripper"] == record["gripper"]
    np.testing.assert_allclose(mixed.path(first).uv, record["uv"], atol=1e-6)
    batch = batches.sample(mixed, [Share(np.arange(10, 14))], 0, 4, 3, 0, NONE, "cpu")
    assert batch.pixel_values.shape[0] == 4 and (batch.labels >= 0).any()


@pytest.mark.parametrize(("text", "weight"), [("labels", 1.0), ("labels:2.5", 2.5), ("a/b:3", 3.0)])
def test_a_weight_follows_the_folder(text, weight):
    part = WeightedDataset.parse(text)
    assert part.weight == weight and str(part.folder) == text.partition(":")[0]
    for wrong in ("labels:many", "labels:-1", "labels:nan"):
        with pytest.raises(ValueError, match="weight"):
            WeightedDataset.parse(wrong)


def test_what_is_asked_for_in_vain_is_an_annotation_without_waypoints(tmp_path):
    part = WeightedDataset(drawn.write(tmp_path / "vain", 12, seed=5, each=6, absent=3))
    tokenizer = build_processor(*corpus.texts([part])).tokenizer
    labels = corpus.load([part], tmp_path / "cache", tokenizer)
    absent = np.flatnonzero(labels.count == 0)
    said = [tokenizer.decode(labels.ids[i, : labels.length[i]]).strip() for i in absent]
    assert said == [text for line in _lines(part.folder) for text in line["absent"]] and len(said) == 36
    assert {labels.tasks[t] for t in labels.task[absent]} == {corpus.ABSENT}
    batch = batches.sample(labels, [Share(np.arange(12))], 0, 8, 10, 0, Augmentation(), "cpu")
    refused = ((batch.labels == tokens.END).any(-1) & ~(batch.labels >= tokens.PATCHES).any(-1)).numpy()
    assert (refused.sum(1) == round(batches.ABSENT_SHARE * 10)).all() and not refused[:, 0].any()
    answers = batch.labels.numpy()[refused]
    assert all(row[row >= 0].tolist() == [tokens.ANS, tokens.END] for row in answers)
    assert (batch.roles.numpy()[refused] == -1).all() and 0 <= batch.pixel_values.abs().max() <= 1


def test_sets_without_negatives_have_none_in_their_batches(labels):
    assert (labels.count > 0).all() and (_sample(labels).labels >= tokens.PATCHES).any(-1).all()


def _rewritten(folder, change):
    """The same label set with other annotations, and a manifest that fits them."""
    shards = sorted(folder.glob("*.npz"))
    for file in (each.with_suffix(".jsonl") for each in shards):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for line in lines:
            line["annotations"] = [change(i, a) for i, a in enumerate(line["annotations"])]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_manifest(folder, "annotated", *([each.name, each.with_suffix(".jsonl").name] for each in shards))
    return folder


def _read(labels, tokenizer, batch, b, k):
    ids = batch.ids[b, k]
    return tokenizer.decode(ids[(ids >= tokens.BYTES)]).strip()


def test_mirror_images_have_mirrored_words_and_the_words_point_at_the_same_things(tokenizer, tmp_path):
    texts = ["touch the left one", "touch the right one", "touch the leftmost one", "touch it"]
    change = lambda i, a: {**a, "instruction": texts[i % 4], "mentions": []}  # noqa: E731
    folder = _rewritten(drawn.write(tmp_path / "sides", 12, seed=5, each=8), change)
    tokenizer = build_processor(*corpus.texts([WeightedDataset(folder)]), fewest=1).tokenizer
    labels = corpus.load([WeightedDataset(folder)], tmp_path / "cache", tokenizer)
    # "rightmost" is in no instruction, so it is spelt: one that is longer when mirrored keeps its image as it is.
    assert labels.mirrors.sum() == len(labels.mirrors) * 3 // 4
    chosen = np.array([[first, first + 1, first + 3] for first in labels.first[:4]])
    rng = np.random.default_rng(0)
    plain, mirrored = (
        batches.assemble(labels, np.arange(4), chosen, np.full(4, flip), NONE, rng, "cpu") for flip in (False, True)
    )
    for b in range(4):
        assert [_read(labels, tokenizer, plain, b, k) for k in range(3)] == [texts[0], texts[1], texts[3]]
        assert [_read(labels, tokenizer, mirrored, b, k) for k in range(3)] == [texts[1], texts[0], texts[3]]
    assert torch.equal(plain.pixel_values.flip(-1), mirrored.pixel_values)


def test_long_instructions_are_drawn_as_often_as_others(tmp_path):
    filler = " and then stop and do nothing more until I say so"
    change = lambda i, a: {**a, "instruction": a["instruction"] + filler * (i == 0)}  # noqa: E731
    folder = _rewritten(drawn.write(tmp_path / "long", 12, seed=5, each=8), change)
    tokenizer = build_processor(*corpus.texts([WeightedDataset(folder)])).tokenizer
    labels = corpus.load([WeightedDataset(folder)], tmp_path / "cache", tokenizer)
    lengths = []
    for step in range(200):
        batch = batches.sample(labels, [Share(np.arange(12))], step, 4, 4, 0, NONE, "cpu")
        lengths += (batch.ids >= tokens.BYTES).sum(-1).flatten().tolist()
    share, truth = (np.mean(np.array(of) > 15) for of in (lengths, labels.length))
    assert truth == pytest.approx(1 / 8, abs=0.02) and share == pytest.approx(truth, rel=0.5)


def test_the_last_word_of_a_landmark_has_two_targets(tmp_path):
    def change(i, a):
        start, end, _ = a["mentions"][-1]
        return {**a, "mentions": [*a["mentions"][:-1], [start, end, [0]], [start, end, [1]]]}

    folder = _rewritten(drawn.write(tmp_path / "landmarks", 12, seed=5, each=6), change)
    tokenizer = build_processor(*corpus.texts([WeightedDataset(folder)])).tokenizer
    labels = corpus.load([WeightedDataset(folder)], tmp_path / "cache", tokenizer)
    assert (labels.landmark.sum(1) == 1).all() and (labels.means[labels.landmark] == 1).all()
    batch = batches.sample(labels, [Share(np.arange(12))], 0, 4, 4, 0, NONE, "cpu")
    shared = set(batch.landmark.tolist()) & set(batch.mention.tolist())
    assert len(batch.landmark) == 16 == len(shared)
    for token in shared:
        landmark = batch.landmark_means[batch.landmark.tolist().index(token)]
        assert not torch.equal(landmark, batch.means[batch.mention.tolist().index(token)])


def test_heights_lie_at_the_bin_tokens_of_their_waypoints(labels):
    height_m = np.where(np.arange(8) < labels.count[:, None], 0.1 * np.arange(8), np.nan).astype(np.float32)
    known = replace(labels, height_m=height_m)
    batch = batches.sample(known, [Share(np.arange(12))], 0, 5, 4, 0, Augmentation(), "cpu")
    for ids, heights in zip(batch.ids.flatten(0, 1), batch.height_m.flatten(0, 1), strict=True):
        at = (ids >= tokens.OFFSETS) & (ids < tokens.BYTES)
        assert heights[at].tolist() == pytest.approx([0.1 * i for i in range(int(at.sum()))])
        assert heights[~at].isnan().all()
