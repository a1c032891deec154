"""POST /click: a page tells that a hit was opened."""

from typing import Final

import orjson
from fastapi import FastAPI, Request, Response
from pydantic import ValidationError

from search_plane.gateway.answer import Problem
from search_plane.gateway.search_log import Click, SearchLog

MOST_BYTES: Final = 4_096


def add_clicks(app: FastAPI, search_log: SearchLog) -> None:
    """Adds the route. Where nothing is logged it still answers, so that pages need not know."""

    @app.post(
        "/click",
        status_code=204,
        response_class=Response,
        summary="Tell that a hit was opened",
        responses={
            400: {"model": Problem, "description": "Not a click; `field` names what is wrong."},
            413: {"model": Problem, "description": f"More than {MOST_BYTES} bytes."},
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": Click.model_json_schema()}},
            }
        },
    )
    async def click(request: Request) -> Response:
        # Read by hand: navigator.sendBeacon sends JSON as text/plain, and no limit is set elsewhere.
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                problem = Problem(error=f"a click has at most {MOST_BYTES} bytes", field="body")
                return _refused(problem, 413, {"Connection": "close"})
        try:
            told = Click.model_validate(orjson.loads(bytes(body)))
        except orjson.JSONDecodeError:
            problem = Problem(
                error='expected JSON: {"search_id": "...", "id": "...", "rank": 1}', field="body"
            )
            return _refused(problem, 400)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = str(first["loc"][-1]) if first["loc"] else "body"
            return _refused(Problem(error=f"{field}: {first['msg']}", field=field), 400)
        search_log.click(told)
        return Response(status_code=204)


def _refused(problem: Problem, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(problem.model_dump_json(), status, headers, media_type="application/json")
