"""Suites, seeds, statistics, the report."""

from hamster.evaluate.config import EvalConfig
from hamster.evaluate.run import evaluate

__all__ = ["EvalConfig", "evaluate"]
