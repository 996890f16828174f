"""Simulates the ThousandEyes v7 endpoint API: for a first run without an account, and for tests.

It imports nothing from the client, so that neither can hide the other's mistakes.

    from thousandeyes.simulator import create_app, serve

    with serve(create_app(tests=["202701"])) as server:
        print(server.url)
"""

from .app import create_app
from .faults import Behaviour, Fault
from .options import Options
from .server import serve
from .state import Call, Simulator
from .surroundings import Cause

__all__ = ["Behaviour", "Call", "Cause", "Fault", "Options", "Simulator", "create_app", "serve"]
