"""Pair rules: which of a prompt's judged responses become a preference pair. Pure functions, one rule a file."""

from selfreward.pair_rules.best_worst import BestWorstConfig

PairRuleConfig = BestWorstConfig
"""The union of all rules' settings; a new rule is one more member."""
