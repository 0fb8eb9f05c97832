"""Track a gripper or a hand through a video from its pixels alone."""
