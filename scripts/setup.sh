#!/usr/bin/env bash
# From a bare Debian or Ubuntu to a working .venv: system libraries, virtual environment, packages.
#
#   scripts/setup.sh run    what `make demo` needs
#   scripts/setup.sh dev    that, and the tools of `make test`, `make check` and `make docs`
#
# Repeatable: a stamp per set of requirements makes the second call instant.
set -euo pipefail
cd "$(dirname "$0")/.."

# Mesa's software OpenGL, which MuJoCo renders with where there is no GPU.
SYSTEM_PACKAGES=(libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri libgles2 libosmesa6)

say() { printf '\033[1m[setup]\033[0m %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

has_opengl() {
    "$1" - <<'PY' 2>/dev/null
import ctypes
def loads(*names):
    for name in names:
        try:
            return bool(ctypes.CDLL(name))
        except OSError:
            continue
    return False
egl = loads("libEGL.so.1") and loads("libEGL_mesa.so.0", "libEGL_nvidia.so.0") and loads("libGL.so.1", "libOpenGL.so.0")
raise SystemExit(0 if egl or loads("libOSMesa.so.8", "libOSMesa.so.6") else 1)
PY
}

apt_install() {
    local sudo=()
    [ "$(id -u)" -eq 0 ] || sudo=(sudo)
    local fix="${sudo[*]} apt-get update && ${sudo[*]} apt-get install -y --no-install-recommends $*"
    command -v apt-get >/dev/null || die "these system packages are missing: $*. Install them with your package manager."
    if [ "$(id -u)" -ne 0 ] && ! { command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; }; then
        die "system packages are missing and there is neither root nor sudo here. Run this as root: ${fix//sudo /}"
    fi
    say "installing system packages: $*"
    "${sudo[@]}" apt-get update -qq >/dev/null || true  # an old package list may still do
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        die "the system packages could not be installed. Try: $fix"
}

# Only those of our packages that this release has (newer Mesas dropped OSMesa).
known_to_apt() {
    local package
    for package in "$@"; do
        if apt-cache show "$package" >/dev/null 2>&1; then echo "$package"; fi
    done
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    die "Python 3.11, 3.12 or 3.13 is needed. Install one (apt-get install python3 python3-venv) or name it: make PYTHON=..."
}

ensure_system() {
    local python="$1"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        apt_install "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    fi
    has_opengl "$python" && return
    local packages=("${SYSTEM_PACKAGES[@]}")
    if command -v apt-cache >/dev/null && [ -n "$(known_to_apt libegl1)" ]; then
        mapfile -t packages < <(known_to_apt "${SYSTEM_PACKAGES[@]}")
    fi
    apt_install "${packages[@]}"
}

# The groups `dev` and `docs` out of pyproject.toml: pip learned --group only in 25.1, fresh machines have older ones.
dev_requirements() {
    "$1" -c 'import tomllib; groups = tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]
print(*groups["dev"], *groups["docs"], sep="\n")'
}

ensure_venv() {
    local python="$1" what="$2" extras=demo,train,serve,studio requirements=() quiet=(--quiet)
    if [ -t 1 ]; then quiet=(); fi  # somebody is watching: show pip's progress bars
    [ -x .venv/bin/python ] || { say "making .venv with $("$python" --version)"; "$python" -m venv .venv; }
    if [ "$what" = dev ]; then
        extras=demo,train,finetune,endpoint,serve,studio,data,mcap,ray,bench
        mapfile -t requirements < <(dev_requirements "$python")
    fi
    say "installing packages (the first time takes a few minutes)"
    .venv/bin/python -m pip install "${quiet[@]}" --disable-pip-version-check --constraint constraints.txt \
        --editable ".[$extras]" "${requirements[@]}" ||
        die "pip failed; its message is above."
    if [ "$what" = dev ]; then  # asks for an older numpy than ours, and needs none of it for what we test with it
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
            --no-deps openpi-client || die "pip failed; its message is above."
    fi
}

main() {
    local what="${1:-run}" fingerprint python
    case "$what" in run | dev) ;; *) die "say 'run' or 'dev', not '$what'" ;; esac
    fingerprint="$(cat pyproject.toml packages/*/pyproject.toml constraints.txt scripts/setup.sh | cksum)"
    # What dev installs is enough for run.
    for stamp in ".venv/.setup-$what" .venv/.setup-dev; do
        if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$fingerprint $PWD" ]; then return; fi
    done
    python="$(find_python)" || exit 1
    ensure_system "$python"
    ensure_venv "$python" "$what"
    echo "$fingerprint $PWD" >".venv/.setup-$what"
    say "done"
}

main "$@"
