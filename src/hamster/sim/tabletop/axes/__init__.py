"""The axes of generalisation: scenes that differ from their demonstrations in one held-out factor each."""
