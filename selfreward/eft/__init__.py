"""Building EFT data of ranked responses: what is kept, and what the file says of itself."""
