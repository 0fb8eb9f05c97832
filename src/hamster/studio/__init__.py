"""`hamster studio`: a page to type or draw a path, and watch the simulated robot follow it. Needs the extra `studio`.

`session` is what a page can ask for, `work` what takes time, `board` the one state that follows from it and that all
pages watch. `app` and `security` are the HTTP side. `static/` is the page: plain modules, no build step, nothing from
the network.
"""
