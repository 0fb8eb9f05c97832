"""A robot's side of `hamster serve policy`: numpy, msgpack and websockets, nothing else."""

from hamster_client.client import PolicyClient
from hamster_client.errors import ConnectionLostError, RequestError, StaleActionError

__all__ = ["ConnectionLostError", "PolicyClient", "RequestError", "StaleActionError"]
