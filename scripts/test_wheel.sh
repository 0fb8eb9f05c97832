#!/usr/bin/env bash
# What the main wheel is worth to somebody who has nothing else: built here, installed into two new environments, as a core
# without extras and with the extras `demo` and `serve`, run from another folder. Takes minutes and more than 1 GB; `make test`
# does the same with the dependencies that it has already (tests/test_wheel.py).
#
#   scripts/test_wheel.sh [FOLDER]    keeps the environments in FOLDER; a temporary one, removed afterwards, if not given
#   PYTHON=…                          what has the dev tools, if it is not .venv/bin/python
set -euo pipefail
cd "$(dirname "$0")/.."

python="${PYTHON:-.venv/bin/python}"
place="${1:-$(mktemp -d)}"
[ $# -gt 0 ] || trap 'rm -rf "$place"' EXIT
mkdir -p "$place"
place="$(cd "$place" && pwd)"

echo "building the wheel"
"$python" -m hatchling build --target wheel --directory "$place/dist" >/dev/null
wheel="$(ls "$place"/dist/hamster_vla-*.whl)"

install() {  # ENVIRONMENT REQUIREMENT
    echo "installing ${2##*/} into a new environment"
    "$python" -m venv "$place/$1"
    # What PYTHONPATH leads to would count as installed.
    env -u PYTHONPATH "$place/$1/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "$2"
}
install core "$wheel"
install venv "$wheel[demo,serve]"

HAMSTER_WHEEL_CORE_PYTHON="$place/core/bin/python" HAMSTER_WHEEL_PYTHON="$place/venv/bin/python" "$python" -m pytest -n 0 -q -s tests/test_wheel.py
