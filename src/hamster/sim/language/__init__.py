"""Generation of unambiguous instructions for the tasks that a scene allows."""

from hamster.sim.language.absent import Imagine, absent_commands
from hamster.sim.language.generate import commands
from hamster.sim.language.grammar import Grammar
from hamster.sim.language.offdomain import OFFDOMAIN
from hamster.sim.language.possible import FAMILIES, Task, tasks
from hamster.sim.language.scope import ImageLayout
from hamster.sim.language.tabletop import TABLETOP

__all__ = [
    "FAMILIES", "OFFDOMAIN", "TABLETOP", "Grammar", "ImageLayout", "Imagine", "Task",
    "absent_commands", "commands", "tasks",
]  # fmt: skip
