"""Building EFT data of ranked responses: who judges, what is kept, and what the file says of itself."""
