"""Ways for a policy to see a path, the same for every family. They compose: each adds to what is there already.

| conditioner | what it adds | flow | views | image |
|---|---|---|---|---|
| `overlay` | the path drawn on the RGB, as in the paper | yes | yes | default |
| `channels` | per pixel: progress, distance, gripper change, and whether there is a path | yes | yes | yes |
| `tokens` | waypoints that are attended to: at their places in 3D, or on the image | default | default | yes |
| `cloud` | many points along the path in 3D, coloured as the drawing | tokens | default, rendered | no: has no 3D |

`flow` has a fifth of its own, `foveas`: where it looks closely. `overlay` needs no weights of its own. All others enter
through layers that start at zero: a checkpoint that was trained without them loads with them, and behaves as it did,
or in `flow` with `tokens` or `cloud` nearly so: a token that says nothing still takes its share of the attention.

A path that was drawn on another view than the one looked at is put into the world by that view's depth, and seen from
here (`Guide.seen_from`).
"""

from hamster.policy.conditioning.cloud import COLOURS, FEATURES, Cloud, cloud
from hamster.policy.conditioning.draw import CHANNELS, channels, overlay
from hamster.policy.conditioning.zero_init import zero_init

__all__ = ["CHANNELS", "COLOURS", "FEATURES", "Cloud", "channels", "cloud", "overlay", "zero_init"]
