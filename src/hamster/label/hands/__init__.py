"""Hands in action-free video: landmarks become the path of a tip between thumb and index finger, and what it takes."""
