"""HAMSTER in allenai's vla-eval: `server.HamsterModelServer` and `tabletop.TabletopBenchmark`."""
