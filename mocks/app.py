"""The routes of the services and of their control desk, as one Starlette application."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from docproc import __version__

from . import jobs, llamaparse, openai, supabase
from .answers import BrokenConnectionError, detail
from .faults import FAULTS, Faults
from .objects import Bucket
from .services import Answer, Call, Services

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def create_app(services: Services, lifespan: Lifespan | None = None) -> Starlette:
    """The application that serves ``services``; every request to a service is logged with what struck it."""

    def logged(path: str, method: str, operation: str, answer: Answer) -> Route:
        async def endpoint(request: Request) -> Response:
            call = Call(services, operation)
            status = 500
            try:
                response = await answer(request, call)
                status = response.status_code
            finally:
                struck = [rule.fault.name for rule in call.struck]
                services.state.add_log(request.method, request.url.path, call.operation, status, struck)
            return response

        return Route(path, endpoint, methods=[method])

    def desk(path: str, method: str, answer: Callable[[Services, Request], Any]) -> Route:
        async def endpoint(request: Request) -> Response:
            return JSONResponse(await answer(services, request))

        return Route(path, endpoint, methods=[method])

    app = Starlette(
        routes=[
            desk("/health", "GET", _health),
            desk("/mock/billing", "GET", _billing),
            desk("/mock/log", "GET", _log),
            desk("/mock/faults", "GET", _get_faults),
            Route("/mock/faults", _put_faults, methods=["PUT"]),
            Route("/mock/buckets/{bucket}", _put_bucket, methods=["PUT"]),
            Route("/mock/objects/{bucket}/{name:path}", _put_object, methods=["PUT"]),
            logged("/v1/models", "GET", "models", openai.list_models),
            logged("/v1/models/{id:path}", "GET", "models", openai.get_model),
            logged("/v1/embeddings", "POST", "embeddings", openai.create_embeddings),
            logged("/api/v1/beta/files", "POST", "upload", llamaparse.upload_file),
            logged("/api/v1/files", "POST", "upload", llamaparse.upload_file),
            logged("/api/v2/parse", "POST", "submit", llamaparse.create_job),
            logged("/api/v2/parse", "GET", "list", llamaparse.list_jobs),
            logged("/api/v2/parse/upload", "POST", "submit", llamaparse.upload_and_create_job),
            logged("/api/v2/parse/versions", "GET", "versions", llamaparse.list_versions),
            logged("/api/v2/parse/{id}", "GET", "poll", llamaparse.get_job),
            logged("/api/v2/parse/{id}", "DELETE", "delete", llamaparse.delete_job),
            logged("/api/v2/parse/{id}/cancel", "POST", "cancel", llamaparse.cancel_job),
            *(logged(f"/storage/v1/{path}", method, name, answer) for path, method, name, answer in supabase.ROUTES),
        ],
        exception_handlers={404: _not_found},
        lifespan=lifespan,
    )
    app.state.services = services
    app.add_middleware(_QuietBreak)
    return app


class _QuietBreak:
    """Lets an ordered break of the connection reach the server without a traceback in its output."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self.app(scope, receive, send)
        except (BrokenConnectionError, ClientDisconnect):
            # The answer is shorter than its Content-Length says, so the server must close the connection; or the
            # client has gone.
            return


async def _not_found(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return detail(404, "Not Found")


async def _health(services: Services, request: Request) -> Mapping[str, Any]:  # noqa: ARG001
    return {"service": "docproc-mocks", "version": __version__, "status": "ok"}


async def _billing(services: Services, request: Request) -> Mapping[str, Any]:  # noqa: ARG001
    await jobs.settle_due(services)
    return services.state.billing(jobs.CREDITS_A_PAGE)


async def _log(services: Services, request: Request) -> list[dict[str, Any]]:
    return services.state.log(int(request.query_params.get("after", "0")))


async def _get_faults(services: Services, request: Request) -> Mapping[str, Any]:  # noqa: ARG001
    faults = services.faults
    fired = [{"fault": rule.spec, "fired": faults.fired[at]} for at, rule in enumerate(faults.rules)]
    return {"seed": faults.seed, "processing_delay": services.processing_delay, "faults": fired}


async def _put_faults(request: Request) -> Response:
    """Replaces the faults in force, and what else is given: ``{"faults": […], "seed": 0, "processing_delay": 0}``."""
    services: Services = request.app.state.services
    try:
        body = json.loads(await request.body())
        services.faults = Faults(body.get("faults", ()), int(body.get("seed", services.faults.seed)))
        services.processing_delay = float(body.get("processing_delay", services.processing_delay))
        services.size_variation = float(body.get("size_variation", services.size_variation))
    except (ValueError, TypeError, AttributeError) as wrong:
        return JSONResponse({"detail": str(wrong)}, 400)
    return JSONResponse(await _get_faults(services, request))


async def _put_bucket(request: Request) -> Response:
    """Makes a private bucket when there is none of that name; no fault strikes it."""
    services: Services = request.app.state.services
    services.state.objects.add_bucket(Bucket(request.path_params["bucket"]))
    return Response(status_code=204)


async def _put_object(request: Request) -> Response:
    """Makes an object as old as ``{"age": seconds}`` says: what cleanup spares and removes can then be tried."""
    services: Services = request.app.state.services
    try:
        age = float(json.loads(await request.body())["age"])
    except (ValueError, TypeError, KeyError) as wrong:
        return JSONResponse({"detail": str(wrong)}, 400)
    services.state.objects.backdate(request.path_params["bucket"], request.path_params["name"], age)
    return Response(status_code=204)


def list_faults() -> str:
    """The catalogue of faults as a table for people."""
    width = max(len(name) for name in FAULTS)
    return "\n".join(f"{name:{width}}  {fault.description}" for name, fault in FAULTS.items())
