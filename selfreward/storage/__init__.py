"""A run on disk: what is written, how it is kept whole, and how it is found again."""
