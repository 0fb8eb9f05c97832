#!/usr/bin/env bash
# From nothing to the two bundled checkpoints and the demo's table. Every stage goes on where it was interrupted, so the
# same command again continues. Takes many hours on two cores; what it took, on which hardware: docs/log.md.
#
#   runs/nano.sh [OUT]     default: outputs/nano
#
# The planner's budgets are --steps below; --seconds is one of time. They must stay the same when a run is continued.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${1:-outputs/nano}"
scripts/setup.sh run
hamster() { .venv/bin/python -m hamster "$@"; }
stage() { printf '\n\033[1m[%s] %s\033[0m\n' "$(date +%H:%M:%S)" "$*"; }

# The planner sees off-domain images only. What they share with the tabletop: docs/overlap.md.
stage "planner: off-domain images"
hamster label offdomain:16000 --seed 0 -o "$out/labels/planner"
hamster label offdomain:16000 --seed 1 -o "$out/labels/planner-more"
# A process for each GPU, or for each of at most four cores: the gradients are those of one batch.
processes="$(.venv/bin/python -c 'import os, torch; print(torch.cuda.device_count() or min(4, os.cpu_count()))')"
stage "planner: training"
.venv/bin/torchrun --nproc-per-node "$processes" -m hamster train planner --config nano \
    --data "$out/labels/planner" --out "$out/train/planner-begun" --steps 8000
# Nouns, ranks and pushes are learned at low rates only: at the first part's rates the steps are too noisy for them.
stage "planner: training goes on at a fifth of the rates, on other images"
.venv/bin/torchrun --nproc-per-node "$processes" -m hamster train planner --config finetune \
    --model "$out/train/planner-begun/model" --data "$out/labels/planner-more" --out "$out/train/planner" --steps 8000

# Nothing of the tabletop touches the planner: scores and refusals are fitted on off-domain images, too, of which three in
# ten are from the middle of a task.
stage "planner: what its scores mean, when it refuses"
hamster eval planner offdomain:800 --seed 2000 --planner "$out/train/planner/model" --calibrate \
    --out "$out/eval-calibration"
stage "planner: 18 ways of telling one of three like things, 200 each; off-domain; the tabletop"
for source in tabletop-language:3600 offdomain:500 tabletop-images:500; do
    hamster eval planner "$source" --seed 1000 --planner "$out/train/planner/model" --out "$out/eval-${source%%:*}"
done

# The policy sees 320 demonstrations of the tabletop, the paper's budget: 220 pick and place, 50 press, 50 knock down. Half
# of them start after a disturbance, so that a path is followed from any moment.
stage "policy: demonstrations"
hamster label tabletop-disturbed:320 --seed 0 -o "$out/labels/policy"
stage "policy: training"
hamster train policy --config flow --data "$out/labels/policy" --out "$out/train/policy"

stage "the table: four arms, 200 scenes each"
hamster eval --suite tabletop --planner "oracle,$out/train/planner/model,shuffled,none" --policy "$out/train/policy" \
    --episodes 200 --seed 0 --out "$out/eval"
