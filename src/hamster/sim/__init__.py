"""Simulation: one machine that builds any `Scene`, and two samplers of scenes, in-domain and off-domain."""
