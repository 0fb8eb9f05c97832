"""The flow policy: poses denoised by rectified flow, conditioned on RGB-D tokens and the path in 3D.

Read in this order: `config`, `inputs` (what the network takes, and how images are cut into patches; with `pixels`, and
`latent`, what a planner makes of them), `vision` (images to tokens), `conditioners` (how the path enters), `model` (the
network, its loss and its prediction), `schedule` (noise) and `token_pruning`.
"""
