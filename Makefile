# `make demo` and `make test` are all that a fresh machine needs; the rest is for those who work here.
.DEFAULT_GOAL := help
.PHONY: help demo test test-finetune test-lerobot test-web test-wheel test-vllm load fuzz memory bench compare check docs lint-fix eval train setup setup-dev clean

HAMSTER := .venv/bin/python -m hamster
# Overridable: make demo ARGS="--episodes 60 --out outputs/demo"
ARGS ?=

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

demo: setup  ## set up, then: a planner draws paths, a policy follows them, in four arms; writes report.html
	$(HAMSTER) demo $(ARGS)
	@echo "To go on: source .venv/bin/activate (a virtual environment), then hamster --help; or .venv/bin/hamster --help"

# Many tests start processes, which import faster from bytecode: it is written even where the environment forbids that.
test: setup-dev  ## set up with the development tools, then run the tests
	PYTHONDONTWRITEBYTECODE= .venv/bin/python -m pytest -n 2 --dist worksteal -q $(ARGS)

test-finetune: setup-dev  ## six architectures fine-tuned with LoRA and in full, killed, resumed, merged, asked; DDP and FSDP2
	HAMSTER_FINETUNE=1 OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 0 -q tests/planner/finetune $(ARGS)

test-lerobot: setup-dev  ## the real lerobot and vla-eval: data sets both ways, lerobot-eval and vla-eval run planner and policy (minutes)
	scripts/test_lerobot.sh $(ARGS)

test-web: setup-dev  ## the studio's page in Debian's Chromium: type, draw, run, move, upload, keep; axe-core on all pages (minutes; screenshots in outputs/web)
	scripts/test_web.sh $(ARGS)

test-wheel: setup-dev  ## the wheel in two new environments: the core alone; with demo and serve, both models and servers (minutes, more than 1 GB)
	scripts/test_wheel.sh $(ARGS)

test-vllm: setup-dev  ## a real vLLM behind our gateway says what transformers says, for each architecture that it can run (3.5 GB, minutes each)
	scripts/test_vllm.sh $(ARGS)

load: setup-dev  ## the nano planner under 64 clients for a minute, four times too many, 10,000 damaged requests
	HAMSTER_LOAD=1 .venv/bin/python -m pytest -n 0 -q -s tests/serving/planner/test_load.py tests/serving/planner/test_hostile.py $(ARGS)

fuzz: setup-dev  ## 10,800 damaged files of all kinds, and 19,200 damaged texts
	HAMSTER_FUZZ=1200 .venv/bin/python -m pytest -n 2 -q tests/label/test_fuzz.py $(ARGS)

memory: setup-dev  ## what 10,000 episodes take next to 100: labelling, data show, the exports
	HAMSTER_MEMORY=10000 .venv/bin/python -m pytest -n 0 -q -s tests/label/test_memory.py $(ARGS)

bench: setup-dev  ## labelling speed, as ratios within one run
	$(HAMSTER) bench label $(ARGS)

compare: setup-dev  ## CPU time of this checkout next to that of another one: make compare BEFORE=../other
	.venv/bin/python scripts/compare_checkouts.py $(BEFORE) . --check $(ARGS)

check: setup-dev  ## lint, formatting, types
	.venv/bin/python -m ruff check src tests packages examples
	.venv/bin/python -m ruff format --check src tests packages examples
	.venv/bin/python -m mypy

docs: setup-dev  ## build the documentation site into site/ (open site/index.html); every warning is an error
	NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --strict $(ARGS)

lint-fix: setup-dev  ## repair what ruff can repair
	.venv/bin/python -m ruff check --fix src tests packages examples
	.venv/bin/python -m ruff format src tests packages examples

eval: setup  ## the table of the README: 200 scenes per arm
	$(HAMSTER) eval --suite tabletop --planner oracle,nano,shuffled,none --policy nano --episodes 200 --seed 0 --out outputs/eval $(ARGS)

train: setup  ## both bundled checkpoints again, from nothing
	runs/nano.sh $(ARGS)

setup:
	@scripts/setup.sh run

setup-dev:
	@scripts/setup.sh dev

clean:  ## remove caches and outputs, keep .venv
	rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis dist build site outputs
