# Two commands set up everything on a fresh Linux machine with Python 3.11 or newer: `make demo` and `make test`.
PYTHON ?= python3
# What pip is told to install as torch. On machines where this pulls a CUDA build of several GB, take the CPU wheel:
#   make test TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
FILMS ?=
OUT ?= bmd-edge-results
BUNDLE_VERSION ?= phantom-6
# The run folders of the BMD networks that the embedded bundle is made of.
RUNS ?= trainer/results/second_edition/bmd_next trainer/results/second_edition/bmd
# The run folder of another finder, whose limits are then measured; without one the embedded finder stays.
FINDER ?=

# Extras whose packages are pinned, each together with what the runtime needs on a CPU; gpu stands for itself.
LOCKED := cpu calibrate clinic cluster export sign spectra train triton
LOCKS := export/container/requirements

.DEFAULT_GOAL := help
.PHONY: help demo screen test lint compile-check bundle picture locks clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: .venv/.installed ## Install the runtime into .venv (no torch) and screen the embedded demo films
	.venv/bin/bmd-edge demo --out $(OUT)

screen: .venv/.installed ## Screen a folder of your own films: make screen FILMS=path/to/films [OUT=results]
	@test -n "$(FILMS)" || { echo "name the folder: make screen FILMS=path/to/films" >&2; exit 2; }
	@# Exit code 3 says that some films were refused, which is a result and not a failed command.
	@.venv/bin/bmd-edge screen "$(FILMS)" --out "$(OUT)" || { code=$$?; [ $$code -eq 3 ] || exit $$code; }

test: .venv-dev/.installed lint ## Install everything but the GPU extra into .venv-dev, then lint and test
	OMP_NUM_THREADS=1 .venv-dev/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile

compile-check: .venv-dev/.installed ## Build every exported network with TensorRT's parser and compiler, without a GPU
	.venv-dev/bin/python -m export.proofs.compile_check

lint: .venv-dev/.installed ## Style, types and import contracts
	.venv-dev/bin/ruff check .
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/mypy
	.venv-dev/bin/lint-imports

bundle: .venv-dev/.installed ## Remake the embedded bundle of the committed networks, score it, figures of the pages (about an hour of 2 cores)
	set -e; run=.venv-dev/bin/bmd-edge; many="--style mixed --population both --unlabelled 0 --films 3 --labelled 0"; finder=; \
	old=$$(mktemp -d)/before; mkdir $$old; cp -r bmd_edge/data/bundle $$old; \
	if [ -n "$(FINDER)" ]; then \
		films=$$($$run phantom $$many --calibrate 0 --pelves 600 --refusals 1300 --seed 26); \
		finder="--finder $(FINDER) --finder-table $$films"; \
	fi; \
	judges=$$($$run phantom $$many --calibrate 2000 --seed 15); \
	$$run export $(RUNS) --table $$judges $$finder --stretch --version $(BUNDLE_VERSION) --out bmd_edge/data/bundle; \
	$$run phantom demo bmd_edge/data; \
	$$run phantom score --n 300 --seed 7 --json > export/results/score.json; \
	$$run phantom score --poses 4 --n 25 --seed 7 --json > export/results/repeat.json; \
	.venv-dev/bin/python -m export.proofs.follow --n 400 --out calibration/results/follow.json \
		--repeatability bmd_edge/data/repeatability.json --before $$old/bundle; \
	.venv-dev/bin/python -m export.readme

picture: .venv-dev/.installed ## Take the README's picture of the demo report again (needs chromium)
	out=$$(mktemp -d); .venv-dev/bin/bmd-edge demo --out $$out/demo > /dev/null; \
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1100,1560 \
		--screenshot=$$out/report.png file://$$out/demo/report/index.html; \
	.venv-dev/bin/python -c "import sys; from PIL import Image; \
	Image.open(sys.argv[1]).convert('RGB').quantize(128, dither=0).save(sys.argv[2], optimize=True)" \
		$$out/report.png export/results/report.png

locks: .venv-dev/.installed ## Pin the packages of every extra anew, with their hashes, for Linux and Python 3.11
	.venv-dev/bin/pip install --quiet --disable-pip-version-check uv
	set -e; all=$$(mktemp); tried=$$(mktemp); echo '$(firstword $(TORCH))' > $$tried; \
	pin=".venv-dev/bin/uv pip compile --python-platform linux --python-version 3.11 --quiet --no-annotate --no-header --upgrade"; \
	hashed="$$pin --generate-hashes --constraint $$all"; \
	$$pin pyproject.toml --constraint $$tried $(LOCKED:%=--extra %) --output-file $$all; \
	for extra in $(LOCKED); do \
		$$hashed pyproject.toml --extra cpu --extra $$extra --output-file $(LOCKS)/$$extra.txt; \
	done; \
	$$hashed pyproject.toml --extra gpu --output-file $(LOCKS)/gpu.txt; \
	$$hashed --group container --output-file $(LOCKS)/container.txt

.PHONY: proofs
proofs: .venv-dev/.installed ## Prove intervals, recalibration, drift charts and class head of the embedded bundle anew (about an hour of 2 cores)
	set -e; run=.venv-dev/bin/bmd-edge; none="--labelled 0 --unlabelled 0 --style random"; \
	pool=$$($$run phantom $$none --calibrate 4000 --seed 501); shifted=$$($$run phantom shifted --n 250); \
	results=calibration/results; \
	.venv-dev/bin/python -m export.proofs.intervals --fresh $$pool --unseen $$shifted:test --condition maker \
		--out $$results/coverage.json; \
	.venv-dev/bin/python -m export.proofs.recalibration --pool $$pool --out $$results/planted.json; \
	.venv-dev/bin/python -m export.proofs.drift_delay --table $$shifted --control $$pool --out $$results/drift.json; \
	.venv-dev/bin/python -m export.proofs.class_head --n 72 --seed 1 --out export/results/class_head.json; \
	.venv-dev/bin/python -m export.proofs.surroundings --n 20 --seed 1 --out export/results/surroundings.json; \
	few=$$($$run phantom $$none --calibrate 250 --seed 502); \
	.venv-dev/bin/python -m export.proofs.noise_floor $$few --n 200 --out export/results/noise_floor.json; \
	.venv-dev/bin/python -m export.proofs.study_sizes --n 2000 --out $$results/study_sizes.json; \
	.venv-dev/bin/python -m export.proofs.study_pooling --n 1000 --out $$results/study_pooling.json

clean: ## Remove the environments and caches of this checkout
	rm -rf .venv .venv-dev .pytest_cache .mypy_cache .ruff_cache .import_linter_cache $(OUT)

.venv/.installed: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -e '.[cpu]'
	@touch $@

.venv-dev/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-dev
	.venv-dev/bin/pip install --quiet --disable-pip-version-check $(TORCH)
	.venv-dev/bin/pip install --quiet --disable-pip-version-check -e '.[cpu,train,export,calibrate,clinic,cluster,sign,spectra,triton,dev]'
	@# NVIDIA's, not for every machine: without it the compile gate is skipped and says so.
	@.venv-dev/bin/pip install --quiet --disable-pip-version-check -e '.[compile-check]' || echo 'no TensorRT-RTX here'
	@touch $@
