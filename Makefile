# `make demo` and `make test` are the two main commands. Each does all the set-up that it needs on Debian or Ubuntu.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
LIBRARIES := libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri libgles2 libosmesa6
VOICES := flite espeak-ng
READY := $(VENV)/.dualtalk-ready
TORCH := $(shell grep '^torch==' constraints.txt)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test attack lint docs doctor duet viewer clean help libraries

demo: $(READY) ## Animate the sample recording of pyannote.audio: demo/dialogue.mp4, demo/report.html, demo/viewer.html
	@recording=$$($(BIN)/python -c "from importlib.util import find_spec; \
	    print(find_spec('pyannote').submodule_search_locations[0] + '/audio/sample/sample.wav')"); \
	$(BIN)/dualtalk simulate "$$recording" --out demo --overwrite

test: LIBRARIES += $(VOICES)
test: $(READY) lint ## Run the linters and all tests
	$(BIN)/pytest -n auto --dist loadfile

attack: LIBRARIES += $(VOICES)
attack: $(READY) ## Feed every reader hostile files and inject faults into every verb: takes an hour
	$(BIN)/pytest -n auto -m "not slow" tests/hostile

lint: $(READY) ## Check formatting, import directions, types and terms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy
	$(BIN)/python scripts/check_terms.py

docs: $(READY) ## Build the documentation site in site/
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[docs]'
	$(BIN)/mkdocs build --strict --quiet

doctor: $(READY) ## Report what works on this machine
	$(BIN)/dualtalk doctor

duet: LIBRARIES += $(VOICES) wamerican-small
duet: $(READY) ## Train the bundled model from scratch, data included: takes hours, resumes when interrupted, needs npm
	$(BIN)/dualtalk synthesize --hours 10 --seed 0 --out stores/synthetic
	$(BIN)/dualtalk train --config configs/train/duet.yaml
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[kokoro]'
	[ -f kokoro/model.onnx ] || $(BIN)/python scripts/fetch_kokoro.py kokoro
	$(BIN)/dualtalk synthesize --hours 0.75 --seed 1 --kokoro-dir kokoro --out stores/kokoro
	$(BIN)/dualtalk train --config configs/train/duet_stage2.yaml
	$(BIN)/dualtalk train --config configs/train/duet_stage3.yaml
	$(BIN)/dualtalk synthesize --hours 1 --seed 3 --kokoro-dir kokoro --speech-rate 1.3 \
	    --vocabulary /usr/share/dict/american-english-small --out stores/words
	$(BIN)/dualtalk train --config configs/train/duet_stage4.yaml
	[ -d stores/words_long ] || { cp -rT stores/words stores/words_long.part && \
	    mv stores/words_long.part stores/words_long; }
	$(BIN)/dualtalk synthesize --hours 3 --seed 3 --kokoro-dir kokoro --speech-rate 1.3 \
	    --vocabulary /usr/share/dict/american-english-small --out stores/words_long
	$(BIN)/dualtalk train --config configs/train/duet_stage5.yaml
	$(BIN)/python scripts/bundle_duet.py runs/duet_stage5/model.safetensors

viewer: ## Rebuild the viewer's script from dualtalk/webpages/viewer_source; needs Node
	@command -v npm > /dev/null || { echo "make: needs Node; first: sudo apt-get install nodejs npm" >&2; exit 1; }
	rm -rf build/viewer
	mkdir -p build
	cp -r dualtalk/webpages/viewer_source build/viewer
	cd build/viewer && npm ci --ignore-scripts --no-audit --no-fund && \
	    npm run build -- --outfile=../../dualtalk/webpages/assets/viewer/viewer.min.js
	cp build/viewer/node_modules/three/LICENSE dualtalk/webpages/assets/viewer/LICENSE-three.txt

clean: ## Remove the environment and all generated files
	rm -rf $(VENV) demo build dist site *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache .mypy_cache

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 14

libraries:
	@command -v dpkg > /dev/null || exit 0; \
	missing=; for package in $(LIBRARIES); do \
	    dpkg -s $$package 2> /dev/null | grep -q '^Status: install ok installed' || missing="$$missing $$package"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	root=; if [ "$$(id -u)" != 0 ]; then root="sudo -n"; fi; \
	if [ -n "$$root" ] && ! sudo -n true 2> /dev/null; then \
	    echo "make: system libraries are missing and you are not root; first: sudo apt-get install$$missing" >&2; \
	    exit 1; \
	fi; \
	echo "installing$$missing"; \
	$$root apt-get update -q > /dev/null && \
	    $$root env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $$missing > /dev/null

# Install torch first and alone: together with the other packages, pip may choose another build of it.
$(READY): pyproject.toml constraints.txt | libraries
	@if [ -z "$(PYTHON)" ] || ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	    echo "make: Python 3.11 or newer is required, found $$($(PYTHON) -V 2>&1); name another: make PYTHON=..." >&2; \
	    exit 1; \
	fi
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2> /dev/null; then \
	    echo "make: $(PYTHON) cannot create environments; first: sudo apt-get install python3-venv" >&2; \
	    exit 1; \
	fi
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q "$(TORCH)"
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $@
