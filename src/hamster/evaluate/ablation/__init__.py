"""Comparison of conditioners, policies and cameras on the same scenes."""
