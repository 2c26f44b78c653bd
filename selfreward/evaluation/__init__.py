"""How good a judge is: its judgments of held-out responses against people's rankings. Pure functions."""
