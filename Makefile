# An index of what can be done here; the work is in tools/, tests/ and benchmarks/.

ARGS ?=
SECONDS ?= 30
DIR ?= ../shared/reference/raft-testdata

.PHONY: run test check bench scenarios crash campaign attacks sim setup dev

run: setup            ## start a member on 127.0.0.1:2379 (its data in ./default.etcd); ARGS="--name x" adds flags
	exec .venv/bin/etcd $(ARGS)

test: dev             ## every test, and the real etcd as judge: at most 15 minutes on two cores
	.venv/bin/python -m pytest --numprocesses=3 --dist=loadfile $(ARGS)

check: dev            ## style, types, import floors, generated code
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python tools/generate_pb.py --check

bench: dev            ## ours and the real etcd in turn, a table of ratios: half an hour; ARGS="--only put" for less
	.venv/bin/python -m benchmarks $(ARGS)

crash: dev            ## kill -9 under load, ROUNDS times (default 100, about 5 minutes)
	ETCDPY_CRASH_ROUNDS=$${ROUNDS:-100} .venv/bin/python -m pytest tests/e2e/test_crash.py

campaign: dev         ## clusters of 3 and 5 killed, paused and cut off, ROUNDS times each (default 200, about 25 minutes)
	ETCDPY_CLUSTER_ROUNDS=$${ROUNDS:-200} .venv/bin/python -m pytest tests/e2e/test_cluster_campaign.py

attacks: dev          ## hostile clients against a cluster, SECONDS each (default 30, about 25 minutes; needs an idle machine)
	.venv/bin/python -m tests.e2e.attacks --seconds $(SECONDS) $(ARGS)

sim: dev              ## clusters in virtual time, SEEDS of them (default 1000, about 4 minutes) from FIRST on: docs/simulator.md
	.venv/bin/python -m etcdpy.sim --seeds $${SEEDS:-1000} --first $${FIRST:-0}

scenarios: dev        ## replay raft scenario files below DIR
	.venv/bin/python tools/scenarios.py $(DIR)

setup:
	@tools/setup.sh run

dev:
	@tools/setup.sh dev
