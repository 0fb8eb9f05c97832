"""`hamster studio`: a page to type or draw a path, and watch the simulated robot follow it. Needs the extra `studio`.

`session` holds the one state that all pages share, `board` tells them of its changes, `app` is the HTTP side of it, and
`static/` the page itself: plain modules, no build step, nothing from the network.
"""
