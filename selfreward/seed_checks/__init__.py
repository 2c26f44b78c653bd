"""Looking at seed files before a run does: what it would refuse or leave out, and what deserves a second look."""
