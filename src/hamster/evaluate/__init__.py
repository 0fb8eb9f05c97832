"""Success rates of planners and policies on suites of scenes: `hamster.evaluate(…)` is `evaluate` of this package."""

from hamster._callable import make_callable
from hamster.evaluate.api import evaluate
from hamster.evaluate.config import EvalConfig
from hamster.evaluate.eval_result import ConditionResult, EvalResult, PairedTest, SuccessRate
from hamster.evaluate.suites import SUITES, Suite, register_suite

__all__ = [
    "SUITES",
    "ConditionResult",
    "EvalConfig",
    "EvalResult",
    "PairedTest",
    "SuccessRate",
    "Suite",
    "evaluate",
    "register_suite",
]

make_callable(__name__)
