#!/usr/bin/env bash
# How a path is best shown to a policy, and what it saves in demonstrations: trains ten variants, four with fewer
# demonstrations and the two baselines, and rolls all of them out. Goes on where it was interrupted. Hours on two
# cores; what it gave: docs/log.md.
#
#   runs/ablation.sh [OUT]     default: outputs/ablation
set -euo pipefail
cd "$(dirname "$0")/.."
out="${1:-outputs/ablation}"
scripts/setup.sh run
hamster() { .venv/bin/python -m hamster "$@"; }

hamster label tabletop:320 --seed 0 -o "$out/labels"

# Conditioners x policies x arms x cameras, and whether two paths in one scene lead to two outcomes. `flow-dense` sees
# whole images as `views` does: the foveas of `flow` would tell every conditioner where the path runs.
hamster ablate --train --config flow-dense,views --conditioners tokens,cloud,channels,overlay,none --steps 1000 \
    --policies nano --data "$out/labels" --episodes 24 --counterfactual 30 --seed 7000 --out "$out/conditioners"

# Half and a quarter of the demonstrations, with a path and without.
hamster ablate --train --config flow-dense --conditioners tokens,none --demonstrations 0.5,0.25 --steps 1000 \
    --policies "$out/conditioners/train/flow-dense-tokens-100,$out/conditioners/train/flow-dense-none-100" \
    --cameras training --planners oracle,nano,none --data "$out/labels" --episodes 24 --counterfactual 0 --seed 7000 \
    --out "$out/demonstrations"

# Without depth, and without a path: the two baselines, trained as long as they are by default, beside the bundled policy.
hamster ablate --train --config image,monolithic --conditioners default --policies nano \
    --data "$out/labels" --episodes 24 --counterfactual 30 --seed 7000 --out "$out/baselines"
