"""Runs that are started from outside."""

from tests.support.training_runs import starter  # noqa: F401 - a fixture
