"""Groups of commands, one a file; ``cli.py`` has the rest and puts them together."""
