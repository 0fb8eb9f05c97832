"""robomimic's and LIBERO's demonstrations."""

from hamster.data.hdf5.source import HDF5

__all__ = ["HDF5"]
