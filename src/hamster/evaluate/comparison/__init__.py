"""A comparison of arms (policies with a kind of path) over axes and training seeds: `hamster report`."""
