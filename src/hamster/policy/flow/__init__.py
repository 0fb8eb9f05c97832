"""The flow-matching 3D actor."""
