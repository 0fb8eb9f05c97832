"""What training a planner needs besides the model: data in arrays, augmentation, losses, optimisers, checkpoints."""
