# Needs: Python 3.11 with venv, Go, Java 17 with Maven, root. The testbed installs its Debian packages itself.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed
TORCH_VENV := .venv-torch
TORCH_STAMP := $(TORCH_VENV)/.installed
INFINITY_VENV := .venv-infinity
INFINITY_STAMP := $(INFINITY_VENV)/.installed
# A Python that has infinity-emb; `none` measures the encoder without that peer.
INFINITY ?= $(INFINITY_VENV)/bin/python
UV ?= uv
SOURCES := operator encoder_image sample_catalogue demo tests $(wildcard benchmarks)
export PYTHONPATH := operator:encoder_image:.
export PYTHONUNBUFFERED := 1

.PHONY: help venv demo demo-down test test-down test-unit test-torch lint crd lock bench-reconcile bench-build bench-refresh bench-switch bench-two-nodes bench-encoder bench-encoder-overload bench-encoder-start bench-encoder-fuzz bench-gateway bench-gateway-faults eval clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Made anew only when the lock changes.
$(STAMP): requirements/dev.txt
	@python3 -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)) and "Python 3.11 or 3.12 is needed")'
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	# So that `.venv/bin/python -m demo` and the like find the packages without PYTHONPATH.
	printf '%s\n' "$(CURDIR)" "$(CURDIR)/operator" "$(CURDIR)/encoder_image" \
	  > "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/semantic-search.pth"
	touch $@

venv: $(STAMP) ## the locked Python environment in .venv

demo: $(STAMP) ## a cluster, the stores, the operator, one index, three answered queries
	@$(PYTHON) -m demo up

demo-down: $(STAMP) ## remove everything that `make demo` made, but the cache
	@$(PYTHON) -m demo down

lint: $(STAMP) ## style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy $(SOURCES)

test: lint ## all levels of proof: style, types, then every test on real parts
	$(PYTHON) -m demo build --for-tests
	# One worker for the tests on a cluster, the other for those on stores of their own and for the units.
	$(PYTHON) -m pytest -n 2

test-down: $(STAMP) ## remove the tests' cluster, which `make test` leaves up for the next time
	$(PYTHON) -m tests.testbed.cluster down --instance test

test-unit: $(STAMP) ## only the tests that need nothing started
	$(PYTHON) -m pytest tests/unit

# Three gigabytes, so beside the environment of everything else.
$(TORCH_STAMP): requirements/torch.txt
	test -x $(TORCH_VENV)/bin/python || python3 -m venv $(TORCH_VENV)
	$(TORCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/torch.txt
	touch $@

test-torch: $(TORCH_STAMP) ## the export and fine-tuning of models, with torch (not part of `make test`)
	$(TORCH_VENV)/bin/python -m pytest tests/torch_lane

crd: $(STAMP) ## generate crds/ from operator/search_operator/api
	$(PYTHON) -m search_operator.api > crds/.generated && mv crds/.generated crds/semanticsearchindexes.yaml

lock: ## resolve requirements/*.txt anew (needs uv)
	$(UV) pip compile --quiet --no-header --no-annotate --no-emit-index-url --generate-hashes --python-version 3.11 \
	  --extra operator -o requirements/operator.txt pyproject.toml
	$(UV) pip compile --quiet --no-header --no-annotate --no-emit-index-url --generate-hashes --python-version 3.11 \
	  --extra plane -o requirements/plane.txt pyproject.toml
	$(UV) pip compile --quiet --no-header --no-annotate --no-emit-index-url --generate-hashes --python-version 3.11 \
	  --extra plane-gpu -o requirements/plane-gpu.txt pyproject.toml
	$(UV) pip compile --quiet --no-header --no-annotate --no-emit-index-url --generate-hashes --python-version 3.11 \
	  --extra operator --extra plane --extra dev -o requirements/dev.txt pyproject.toml
	$(UV) pip compile --quiet --no-header --no-annotate --no-emit-index-url --generate-hashes --python-version 3.11 \
	  --extra operator --extra plane --extra dev --extra export --extra finetune \
	  -o requirements/torch.txt pyproject.toml
	# With our own ONNX Runtime: what is compared are the servers around it.
	$(UV) pip compile --quiet --no-header --no-annotate --no-emit-index-url --generate-hashes --python-version 3.11 \
	  --constraint <(grep -o '^onnxruntime==[^ ]*' requirements/plane.txt) -o requirements/infinity.txt requirements/infinity.in

bench-reconcile: $(STAMP) ## time from apply to all children existing, against the bare applies
	$(PYTHON) -m benchmarks.reconcile

bench-build: $(STAMP) ## rows per second of a build, against the bare encoder
	$(PYTHON) -m benchmarks.build

bench-refresh: $(STAMP) ## rows per second of a refresh without changes, against the bare scan
	$(PYTHON) -m benchmarks.refresh

eval: $(STAMP) ## how relevant the answers to the judged queries are, by words, by meaning and fused (a quarter of an hour)
	$(PYTHON) -m benchmarks.relevance --docs docs/relevance.md $(if $(RERANKER),--reranker $(RERANKER))

bench-switch: $(STAMP) ## 20 switches and 5 rollbacks under 100,000 queries, each answer checked (half an hour)
	$(PYTHON) -m benchmarks.switch

bench-two-nodes: $(STAMP) ## failed, slow and short searches while query nodes die and return (ten minutes)
	$(PYTHON) -m benchmarks.two_nodes

# Three gigabytes too, for its ONNX engine imports torch; and older libraries than ours.
$(INFINITY_STAMP): requirements/infinity.txt
	test -x $(INFINITY_VENV)/bin/python || python3 -m venv $(INFINITY_VENV)
	$(INFINITY_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/infinity.txt
	touch $@

bench-encoder: $(STAMP) $(if $(filter $(INFINITY_VENV)/%,$(INFINITY)),$(INFINITY_STAMP)) ## the encoder against ONNX Runtime alone and its peers (25 minutes; INFINITY=none: without that one)
	$(PYTHON) -m benchmarks.encoder $(if $(filter none,$(INFINITY)),,--infinity $(INFINITY))

bench-encoder-overload: $(STAMP) ## the encoder under five times what it can compute (two minutes)
	$(PYTHON) -m benchmarks.encoder_overload

bench-encoder-start: $(STAMP) ## seconds until ready, memory and image sizes of the encoder (a quarter of an hour)
	$(PYTHON) -m benchmarks.encoder_start --images

bench-encoder-fuzz: $(STAMP) ## 100,000 requests that no client should send, each answer checked (20 minutes)
	$(PYTHON) -m benchmarks.encoder_fuzz $(if $(REQUESTS),--requests $(REQUESTS)) $(if $(SEED),--seed $(SEED))

bench-gateway: $(STAMP) ## the gateway at rising load, against encoder, Milvus and Elasticsearch called directly (ten minutes)
	$(PYTHON) -m benchmarks.gateway

bench-gateway-faults: $(STAMP) ## answers while Milvus, Elasticsearch or the encoder is stopped, slow or failing (ten minutes)
	$(PYTHON) -m benchmarks.gateway_faults

clean: demo-down test-down ## remove the clusters made here, the cache of built tools and images, and .venv
	$(PYTHON) -m tests.testbed.cluster clean
	rm -rf $(VENV) $(TORCH_VENV) $(INFINITY_VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
