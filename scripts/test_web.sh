#!/usr/bin/env bash
# The studio's page, and the pages that are files, in a real browser: the system's Chromium, driven by Playwright, with
# axe-core's rules of accessibility; both are installed into .venv.
#
#   scripts/test_web.sh [PYTEST ARGUMENTS]
#   PYTHON=…      what has the dev tools, if it is not .venv/bin/python
#   CHROMIUM=…    the browser, if it is not found by itself
set -euo pipefail
cd "$(dirname "$0")/.."

python="${PYTHON:-.venv/bin/python}"
if [ -z "${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}" ]; then
    echo "test-web needs Chromium: sudo apt-get install --no-install-recommends chromium" >&2
    exit 1
fi
if ! "$python" -c "import axe_playwright_python, playwright" 2>/dev/null; then
    "$python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
        $("$python" -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["web"])')
fi
HAMSTER_WEB=1 "$python" -m pytest -n 0 -q -rs tests/studio/web "$@"
