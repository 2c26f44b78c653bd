"""What shows that self-rewarding goes wrong: figures counted over an iteration's records, and when to look closer.

One family of failures a file; :mod:`~selfreward.diagnosis.families` puts them together, and all limits stand in
:mod:`~selfreward.diagnosis.thresholds`. Pure: what is read from disk is handed in.
"""
