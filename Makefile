# Each target is a real command that you could type yourself; .venv is made when it is missing.
PYTHON ?= python3
WORKERS ?= $(shell nproc 2>/dev/null || echo 1)
BIN := .venv/bin
READY := .venv/.ready

# make shards DATASET=imagenet|skyscript|folder|tar|scene|demo SOURCE=... (docs/guides/sources.md)
# [BANDS='4 8'] [DRAWS=4] [SPLIT=validation] [FILTER='gsd<=1'] [TILE=64] [SEED=1] [COMPRESS=blosc2]
DATASET ?= demo
RECIPE ?= $(if $(filter scene,$(DATASET)),wald,sensor)
SHARDS_ROOT ?= shards/built
OUT ?= $(SHARDS_ROOT)/$(DATASET)-$(RECIPE)
BANDS ?= 4 8

# make demo [SCENE_PAN=pan.tif SCENE_MS=ms.tif [SCENE_SENSOR=IKONOS]]: the scene of the package, or yours
DEMO := demo
WEIGHTS := $(DEMO)/run/model.safetensors
FUSE_PAN := $(or $(SCENE_PAN),$(DEMO)/scene/WorldView-2_Rotterdam_pan.tif)
FUSE_MS := $(or $(SCENE_MS),$(DEMO)/scene/WorldView-2_Rotterdam_ms.tif)
SENSOR := $(if $(SCENE_SENSOR),--sensor $(SCENE_SENSOR))
FUSE := $(BIN)/fusiontrain fuse $(FUSE_PAN) $(FUSE_MS) --assume-aligned $(SENSOR)
SCENE := $(if $(SCENE_PAN),--pan $(SCENE_PAN) --ms $(SCENE_MS) $(SENSOR),$(DEMO)/scene)

.PHONY: setup demo test test-fast test-slow lint docs fuzz shards bench bench-quick gpu ablate known study weights weights-open qgis clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(READY)
	$(BIN)/simgen build --dataset demo --recipe sensor-clean --out $(DEMO)/shards --bands 4 --draws 64 --shard-size 64 --workers $(WORKERS)
	$(BIN)/fusiontrain example $(DEMO)/scene
	$(BIN)/fusiontrain pretrain --shards $(DEMO)/shards --out $(DEMO)/run --batch-size 8 --crop 64 --warmup-steps 20 \
		--max-minutes 3 --scenes $(DEMO)/scene --validate-minutes 0.3
	$(FUSE) $(DEMO)/fused.tif --quicklook $(DEMO)/fused.png
	$(FUSE) $(DEMO)/gsa.tif --quicklook $(DEMO)/gsa.png --method gsa
	$(BIN)/fusiontrain benchmark $(SCENE) --weights default $(WEIGHTS) --picture-side 600 --out $(DEMO)/report
	@echo
	@echo "made: $(DEMO)/shards               training shards (look: $(BIN)/simgen look $(DEMO)/shards)"
	@echo "      $(WEIGHTS) a network, trained for three minutes (loss: $(DEMO)/run/log.csv)"
	@echo "      $(DEMO)/fused.tif, fused.png $(FUSE_PAN) fused by the shipped weights; by GSA: gsa.tif, gsa.png"
	@echo "      $(DEMO)/report/index.html    ours against GSA, and indices: open it in a browser"

# one thread a process: operations of small tests wait for a second one longer than it saves
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow"

test-slow: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow

# make test-fast [WHAT='tests/fusiontrain/metrics -k sam']: rules of the house and what you name, in seconds
test-fast: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -x -m "not slow" $(or $(WHAT),tests/house/test_rules.py tests/house/test_sizes.py tests/fusiontrain/metrics)

# the site: site/index.html; with its search: python -m http.server -d site
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# 20,000 damaged inputs, some 15 minutes of one core; one of them again: python -m tests.fuzz --case N
fuzz: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --cases $(or $(CASES),20000)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz.tracing --cases 500

lint: $(READY)
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

# what only a GPU can prove, in under ten minutes on one (docs/guides/gpu.md)
gpu: $(READY)
	$(BIN)/python -m bench.gpu --out gpu.jsonl

# every bench, hours; it fails where an aim is missed (docs/reports/performance.md)
bench: $(READY)
	$(BIN)/python -m bench.speed

# that every bench runs, in minutes: before a release
bench-quick: $(READY)
	$(BIN)/python -m bench.speed --quick

# make ablate SHARDS='DIR:0.8 DIR:0.2' SCENES=../shared/data/real [HELD=DIR] [SECONDS=150]
ablate: $(READY)
	$(BIN)/python -m bench.study ablation --shards $(SHARDS) --scenes $(SCENES) $(if $(HELD),--held $(HELD)) \
		--seconds $(or $(SECONDS),150) --seeds 0 1 2 $(STUDY)

shards: $(READY)
	$(BIN)/simgen build --dataset $(DATASET) $(if $(SOURCE),--source '$(SOURCE)') $(if $(SPLIT),--split $(SPLIT)) \
		$(if $(FILTER),--filter '$(FILTER)') $(if $(TILE),--tile $(TILE)) $(if $(SEED),--seed $(SEED)) \
		$(if $(COMPRESS),--compress $(COMPRESS)) $(if $(DRAWS),--draws $(DRAWS)) \
		--out $(OUT) --recipe $(RECIPE) --bands $(BANDS) --workers $(WORKERS)

# make known SOURCE=DIR [OUT=runs/known] [WEIGHTS_OF='default default-sensor']: scenes of known truth from sharp images, scored
known: OUT = runs/known
known: $(READY)
	$(BIN)/simgen known '$(SOURCE)' $(OUT)/scenes
	$(BIN)/fusiontrain benchmark $(OUT)/scenes --protocol known --registered \
		--weights $(or $(WEIGHTS_OF),default default-sensor) --out $(OUT)

# make study PART=families|simulation|data|one-shot|softness|failures|sensors|hqnr|adapt|known|known-failures|seed [STUDY='--seconds 90 --seeds 0 1 2'] (docs/reports/study.md)
PHOTOS ?= ../shared/data/photos
SCENES ?= ../shared/data/real
study: $(READY)
	$(BIN)/python -m bench.study $(PART) --photos $(PHOTOS) --scenes $(SCENES) $(STUDY)

# make weights [PHOTOS=DIR] [STEPS='--max-steps 20']: the shipped weights, from photographs to
# runs/weights/{default,default-sensor,small}/model.safetensors; few STEPS try the chain
TRAINED := runs/weights
BUILD = $(BIN)/simgen build --dataset folder --source $(PHOTOS) --workers $(WORKERS) --draws
ON := $(BIN)/fusiontrain finetune --recipe release_more --shards \
	$(TRAINED)/clean-1:0.45 $(TRAINED)/sensor-1:0.4 $(TRAINED)/x2-1:0.15 --weights
ON_WIDER := $(BIN)/fusiontrain finetune --recipe release_sensor --shards \
	$(TRAINED)/clean-2:0.45 $(TRAINED)/sensor-2:0.4 $(TRAINED)/x2-2:0.15 --weights
ON_SOFT := $(BIN)/fusiontrain finetune --recipe release_sensor --learning-rate 8e-4 --shards $(TRAINED)/clean-2:0.31 \
	$(TRAINED)/sensor-2:0.28 $(TRAINED)/x2-2:0.11 $(TRAINED)/soft:0.30 --weights
ON_SCENE := $(BIN)/fusiontrain finetune --recipe release_scene --shards \
	$(TRAINED)/scene:0.62 $(TRAINED)/scene-soft:0.28 $(TRAINED)/scene-x2:0.10 --weights
PRETRAIN := $(BIN)/fusiontrain pretrain --shards $(TRAINED)/clean:0.45 $(TRAINED)/sensor:0.4 $(TRAINED)/x2:0.15
weights: $(READY)
	$(BUILD) 3 --recipe sensor-clean --bands 4 --out $(TRAINED)/clean
	$(BUILD) 3 --recipe sensor-quiet --bands 4 4 4 8 3 --out $(TRAINED)/sensor
	$(BUILD) 1 --recipe sensor-quiet-x2 --bands 4 7 --out $(TRAINED)/x2
	$(BUILD) 3 --seed 1 --recipe sensor-clean --bands 4 --out $(TRAINED)/clean-1
	$(BUILD) 3 --seed 1 --recipe sensor-quiet --bands 4 4 4 8 3 --out $(TRAINED)/sensor-1
	$(BUILD) 1 --seed 1 --recipe sensor-quiet-x2 --bands 4 7 --out $(TRAINED)/x2-1
	$(PRETRAIN) --recipe release --out $(TRAINED)/default-first $(STEPS)
	$(ON) $(TRAINED)/default-first/model.safetensors --out $(TRAINED)/default-second $(STEPS)
	$(BUILD) 2 --seed 5 --recipe sensor-clean --bands 4 --out $(TRAINED)/clean-2
	$(BUILD) 2 --seed 5 --recipe sensor-quiet --bands 4 4 4 8 3 --out $(TRAINED)/sensor-2
	$(BUILD) 1 --seed 5 --recipe sensor-quiet-x2 --bands 4 7 --out $(TRAINED)/x2-2
	$(BUILD) 2 --seed 6 --recipe sensor-soft --bands 4 4 4 8 3 --out $(TRAINED)/soft
	$(ON_WIDER) $(TRAINED)/default-second/model.safetensors --out $(TRAINED)/default-third $(STEPS)
	$(ON_SOFT) $(TRAINED)/default-third/model.safetensors --out $(TRAINED)/default-sensor $(STEPS)
	$(BUILD) 2 --seed 3 --tile 160 --recipe scene --bands 4 4 4 8 3 --out $(TRAINED)/scene
	$(BUILD) 1 --seed 3 --tile 160 --recipe scene-soft --bands 4 --out $(TRAINED)/scene-soft
	$(BUILD) 1 --seed 3 --tile 160 --recipe scene-x2 --bands 4 7 --out $(TRAINED)/scene-x2
	$(ON_SCENE) $(TRAINED)/default-second/model.safetensors --out $(TRAINED)/default $(STEPS)
	$(PRETRAIN) --recipe release_small --out $(TRAINED)/small $(STEPS)

# make weights-open OPEN=DIR: default-open, of the unpacked packages that bench/study/open_images.py names
OPEN_HOW := --seed 21 --tile 160 --shard-size 64
weights-open: PHOTOS = $(TRAINED)/open-images
weights-open: $(READY)
	$(BIN)/python -m bench.study.open_images '$(OPEN)' $(PHOTOS)
	$(BUILD) 9 $(OPEN_HOW) --recipe scene --bands 4 4 4 8 3 --out $(TRAINED)/open-scene
	$(BUILD) 4 $(OPEN_HOW) --recipe scene-soft --bands 4 --out $(TRAINED)/open-soft
	$(BUILD) 2 $(OPEN_HOW) --recipe scene-x2 --bands 4 7 --out $(TRAINED)/open-x2
	$(BIN)/fusiontrain pretrain --recipe release_open --out $(TRAINED)/default-open $(STEPS) --shards \
		$(TRAINED)/open-scene:0.62 $(TRAINED)/open-soft:0.28 $(TRAINED)/open-x2:0.10

# the plugin for QGIS, qgis/panprior.zip: Plugins > Manage and Install Plugins > Install from ZIP
qgis:
	$(PYTHON) qgis/pack.py

clean:
	rm -rf demo .pytest_cache .mypy_cache .ruff_cache
