"""One page a file: what it asks of the run, and what its template is given."""
