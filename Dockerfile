# HAMSTER for the CPU: the wheel of this checkout, with the extras `demo`, `serve` and `data`. See docs/install.md.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src src
COPY packages packages
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /dist .

FROM python:3.11-slim-bookworm
# The software OpenGL that MuJoCo renders with.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri libgles2 libosmesa6 \
    && rm -rf /var/lib/apt/lists/*
# Optional: the address of PyTorch's index of CPU builds (see pytorch.org). Without it pip installs several GB of CUDA.
ARG PIP_EXTRA_INDEX_URL=
COPY constraints.txt /tmp/constraints.txt
COPY --from=build /dist /tmp/dist
RUN PIP_EXTRA_INDEX_URL="$PIP_EXTRA_INDEX_URL" python -m pip install --no-cache-dir --constraint /tmp/constraints.txt \
        "$(echo /tmp/dist/hamster_vla-*.whl)[demo,serve,data]" \
    && rm -r /tmp/dist /tmp/constraints.txt
RUN useradd --create-home hamster && mkdir /work && chown hamster /work
USER hamster
# A user given by `docker run --user` has neither a name nor a home folder; caches go where anybody may write.
ENV HOME=/tmp USER=hamster MUJOCO_GL=egl
WORKDIR /work
ENTRYPOINT ["hamster"]
CMD ["--help"]
