#!/usr/bin/env bash
# The real lerobot package: it opens what we wrote, we open what it wrote, and its lerobot-eval runs our planner and policy
# on our tabletop (tests/lerobot). The same environment has the real vla-eval.
#
#   scripts/test_lerobot.sh [pytest's arguments]
#
# In an environment of its own, .venv/lerobot (about 250 MB), that lies over .venv and takes torch from there: lerobot
# pins a torch that PyPI has only with several GB of CUDA. So everything is installed without what it depends on, on
# whatever Python .venv has; tests/lerobot/newer_python.py says what makes up for that.
set -euo pipefail
cd "$(dirname "$0")/.."

HOME_OF_IT=.venv/lerobot
PACKAGES=(
    lerobot==0.6.1
    torchvision==0.28.0  # the one for the torch of constraints.txt
    'av>=15,<16' 'datasets>=4.8,<5' 'pandas>=2,<3' 'huggingface-hub>=1.31,<2' 'packaging<26'
    'draccus>=0.11.6,<0.12' mergedeep pyyaml-include typing_inspect toml
    'jsonlines>=4,<5' einops termcolor tqdm dill multiprocess xxhash requests urllib3 certifi charset-normalizer
    httpx httpcore six pytz tzdata attrs
    vla-eval==0.8.0 lazyregistry
)
OURS=(lerobot_policy_hamster lerobot_env_hamster hamster_vla_eval)

quietly() { "$HOME_OF_IT/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python "$@"; }

stamp="$HOME_OF_IT/.installed"
wanted="$(printf '%s\n' "${PACKAGES[@]}" | cksum) $PWD"
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
    rm -rf "$HOME_OF_IT"
    .venv/bin/python -m venv "$HOME_OF_IT"
    site="$("$HOME_OF_IT/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
    below="$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
    echo "import site; site.addsitedir('$below')" >"$site/below.pth"
    quietly "${PACKAGES[@]}"
    echo "$wanted" >"$stamp"
fi

# As they ship: LeRobot finds them by the names in their wheels.
wheels="$(mktemp -d)"
trap 'rm -rf "$wheels"' EXIT
for package in "${OURS[@]}"; do
    (cd "packages/$package" && ../../.venv/bin/python -m hatchling build --target wheel --directory "$wheels" >/dev/null)
done
quietly --force-reinstall "$wheels"/*.whl

HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 "$HOME_OF_IT/bin/python" -m pytest -q -p no:cacheprovider tests/lerobot "$@"
