"""Following a gripper, or a hand, through a video of which nothing is known but its pixels."""
