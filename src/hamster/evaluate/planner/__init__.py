"""Evaluation of a planner alone: correct paths, refusals and the calibration of its scores."""
