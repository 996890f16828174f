"""The application: its routes, and the order of what a call passes through."""

import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount, Route

from . import accounts, agents, results, tests
from .gate import Gate
from .options import Options
from .page import show_calls, show_page
from .replies import InvalidFieldsError, on_http_exception, on_invalid_fields
from .runs import run
from .state import Simulator


def create_app(*, clock: Callable[[], float] = time.time, **options: object) -> Starlette:
    """Return the API as an ASGI application, its state in `app.state.simulator`.

    The other keywords are the fields of `Options`; a wrong one raises pydantic's `ValidationError`.
    `clock` returns epoch seconds; tests pass one to control the time.
    """
    simulator = Simulator(Options(**options), clock)
    api = Starlette(
        routes=[
            Route("/endpoint/tests/scheduled-tests/{test_id}/run", run, methods=["POST"]),
            *tests.ROUTES,
            *results.ROUTES,
            *agents.ROUTES,
            Route("/account-groups", accounts.list_account_groups),
        ],
        middleware=[Middleware(Gate, simulator=simulator)],
        exception_handlers={
            HTTPException: on_http_exception,
            InvalidFieldsError: on_invalid_fields,
        },
    )
    api.router.redirect_slashes = False
    app = Starlette(
        routes=[
            Route("/", show_page),
            Route("/_sim/calls", show_calls),
            Mount("/v7", app=api),
        ],
        exception_handlers={HTTPException: on_http_exception},
    )
    app.state.simulator = simulator
    return app
