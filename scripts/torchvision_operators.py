"""Declares torchvision's compiled operators before torchvision is imported, for a torch that cannot load them.

torchvision only names them at its import; nothing here computes anything. Installed by scripts/test_vllm.sh.
"""

import sys

OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


class DeclareFirst:
    """Finds nothing; it only notices that torchvision is about to be imported."""

    def find_spec(self, name, path=None, target=None):
        """None, always."""
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            self.library = torch.library.Library("torchvision", "DEF")  # kept: it undoes itself when it goes
            sys.modules[__name__].library = self.library
            for operator in OPERATORS:
                self.library.define(operator)


sys.meta_path.insert(0, DeclareFirst())
