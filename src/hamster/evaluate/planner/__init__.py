"""Evaluation of a planner alone: right paths, refusals and the calibration of its scores."""
