"""Names of the files in a run's folder."""

WEIGHTS_NAME = "model.safetensors"
RUN_NAME, CONFIG_NAME = "run.json", "config.yaml"
LOG_NAME, VALIDATION_NAME = "log.csv", "validation.csv"
