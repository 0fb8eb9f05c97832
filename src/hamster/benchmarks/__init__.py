"""Speed, shown as ratios of what was timed one after the other in one run, on whatever machine it is."""
