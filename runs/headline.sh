#!/usr/bin/env bash
# From nothing to the table and figures of the axes: does the hierarchy generalise better, and is it the path that does
# it? Arms, axes, contrasts and predictions: runs/headline.toml. Each stage skips what is done, so the same command
# again continues. On two cores a night for each of four planners and hours for the rest; HEADLINE_SCALE=core leaves
# out three planners and the arms that are in no contrast, HEADLINE_SCALE=bundled takes a bundled planner and trains
# policies alone, with one training seed (the last stage then says that it cannot exclude leaks into that planner, and
# the exit code is 1), HEADLINE_SCALE=smoke takes minutes.
#
#   runs/headline.sh [OUT]     default: outputs/headline
#
# The only reader of the test seeds. A run that begins adds a line to runs/headline.ledger; commit it.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${1:-outputs/headline}"
scale="${HEADLINE_SCALE:-}"
python="${HEADLINE_PYTHON:-.venv/bin/python}"
[ -n "${HEADLINE_PYTHON:-}" ] || scripts/setup.sh run
hamster() { "$python" -m hamster "$@"; }
stage() { begin=$SECONDS; printf '\n\033[1m[%s] %s\033[0m\n' "$(date +%H:%M:%S)" "$*"; }
took() { printf '%s: %d s\n' "$1" "$((SECONDS - begin))" | tee -a "$out/times.txt"; }

stage "planners"
hamster compare planners --plan runs/headline.toml --scale "$scale" --out "$out"
took "planners"
stage "policies, once for each training seed"
hamster compare policies --plan runs/headline.toml --scale "$scale" --out "$out"
took "policies"
stage "table"
hamster compare table --plan runs/headline.toml --scale "$scale" --out "$out"
took "table"
stage "leaks: training data, layouts, controls"
set +e  # exit code 1 where a leak is not excluded, for which the scenes of "smoke" are too few
hamster compare leaks --plan runs/headline.toml --scale "$scale" --out "$out"
leaks=$?
set -e
[ "$leaks" = 0 ] || [ "$scale" = smoke ]
took "leaks"
