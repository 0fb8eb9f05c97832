"""The virtual-view heat-map actor."""
