"""`lerobot-eval`, on this Python: python -m tests.lerobot.run_eval [its arguments]."""

from tests.lerobot import newer_python

KEPT = newer_python.install()

if __name__ == "__main__":
    from lerobot.scripts.lerobot_eval import main

    main()
