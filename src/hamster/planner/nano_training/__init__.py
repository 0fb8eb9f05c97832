"""Training of the nano planner: data in arrays, augmentation, losses, optimisers, checkpoints."""
