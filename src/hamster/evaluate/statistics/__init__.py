"""Confidence intervals of success rates and their differences, paired tests, and tests that may stop early."""

from hamster.evaluate.statistics.intervals import bootstrap, clopper_pearson, two_way_bootstrap, wilson
from hamster.evaluate.statistics.paired_tests import holm, mcnemar, sign_flip_test
from hamster.evaluate.statistics.sequential import ConfidenceSequence

__all__ = [
    "ConfidenceSequence",
    "bootstrap",
    "clopper_pearson",
    "holm",
    "mcnemar",
    "sign_flip_test",
    "two_way_bootstrap",
    "wilson",
]
