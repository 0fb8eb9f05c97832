"""robomimic's and LIBERO's demonstrations."""

from hamster.data.hdf5.source import Hdf5

__all__ = ["Hdf5"]
