"""KubernetesLogFollower over real HTTPS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
import yaml
from aiohttp import web

from ingestion_operator.adapters.kube import log_follower
from ingestion_operator.adapters.kube.log_follower import KubernetesLogFollower
from ingestion_operator.errors import ClusterError, Forbidden, Invalid, NotFound, Unavailable

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(30)]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PATH = "/api/v1/namespaces/data/pods/nightly-1-a/log"


class ApiServer:
    """An API server that serves logs to who shows the token."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.kubeconfig = folder / "kubeconfig"
        self.token = "first"
        self.requests: list[web.Request] = []

    def write_kubeconfig(self, port: int, token: str) -> None:
        ca = self.kubeconfig.with_name("ca.crt")
        ca.write_bytes(self.authority.cert_pem.bytes())
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [
                {
                    "name": "c",
                    "cluster": {"server": f"https://localhost:{port}", "certificate-authority": str(ca)},
                }
            ],
            "users": [{"name": "u", "user": {"token": token}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(document))

    @asynccontextmanager
    async def serving(self, handler: Handler) -> AsyncIterator[KubernetesLogFollower]:
        async def checked(request: web.Request) -> web.StreamResponse:
            self.requests.append(request)
            if request.headers.get("Authorization") != f"Bearer {self.token}":
                return web.json_response({"message": "Unauthorized"}, status=401)
            return await handler(request)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("localhost").configure_cert(context)
        app = web.Application()
        app.router.add_get(PATH, checked)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "localhost", 0, ssl_context=context)
        await site.start()
        self.port = runner.addresses[0][1]
        self.write_kubeconfig(self.port, self.token)
        follower = KubernetesLogFollower(str(self.kubeconfig))
        try:
            yield follower
        finally:
            await follower.close()
            await runner.cleanup()


@pytest.fixture
def api(tmp_path: Path) -> ApiServer:
    return ApiServer(tmp_path)


async def read(follower: KubernetesLogFollower, *, since: datetime | None = None, follow: bool = True) -> bytes:
    return b"".join([piece async for piece in follower.stream("data", "nightly-1-a", since=since, follow=follow)])


async def hello(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"hello\n")


async def test_a_log_is_streamed_while_it_is_written(api: ApiServer) -> None:
    go_on = asyncio.Event()

    async def slowly(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first\n")
        await go_on.wait()
        await response.write(b"second\n")
        return response

    async with api.serving(slowly) as follower:
        stream = follower.stream("data", "nightly-1-a", since=None, follow=True)
        assert await anext(stream) == b"first\n"
        go_on.set()
        assert [piece async for piece in stream] == [b"second\n"]
    assert dict(api.requests[0].query) == {"container": "ingestion", "timestamps": "true", "follow": "true"}


async def test_a_pod_that_no_node_has_taken_has_an_empty_log(api: ApiServer) -> None:
    async def nothing(_: web.Request) -> web.StreamResponse:
        return web.Response(status=204)

    async with api.serving(nothing) as follower:
        assert await read(follower, follow=False) == b""


async def test_it_asks_from_a_second_on(api: ApiServer) -> None:
    async with api.serving(hello) as follower:
        await read(follower, since=datetime(2026, 3, 1, 12, 0, 5, 999, tzinfo=UTC), follow=False)
    query = {"container": "ingestion", "timestamps": "true", "sinceTime": "2026-03-01T12:00:05Z"}
    assert dict(api.requests[0].query) == query


async def test_a_token_that_was_replaced_is_read_again(api: ApiServer) -> None:
    async with api.serving(hello) as follower:
        await read(follower)
        api.token = "second"
        api.write_kubeconfig(api.port, "second")
        assert await read(follower) == b"hello\n"
        assert await read(follower) == b"hello\n"
    assert len(api.requests) == 4  # one of them refused


async def test_a_token_that_stays_refused_is_tried_again(api: ApiServer) -> None:
    async with api.serving(hello) as follower:
        api.token = "another"
        with pytest.raises(Unavailable):
            await read(follower)


@pytest.mark.parametrize(("code", "kind"), [(404, NotFound), (400, Invalid), (403, Forbidden), (500, Unavailable)])
async def test_refusals_are_distinguished(api: ApiServer, code: int, kind: type[ClusterError]) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response({"message": "said the API server"}, status=code)

    async with api.serving(refuse) as follower:
        with pytest.raises(kind, match="said the API server"):
            await read(follower)


async def test_a_connection_that_breaks_is_not_an_end(api: ApiServer) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first\n")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with api.serving(break_off) as follower:
        with pytest.raises(Unavailable):
            await read(follower)


@pytest.mark.parametrize(("follow", "bound"), [(True, "_SILENCE_SECONDS"), (False, "_READ_SILENCE_SECONDS")])
async def test_a_connection_that_is_silent_for_too_long_is_not_an_end(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch, *, follow: bool, bound: str
) -> None:
    monkeypatch.setattr(log_follower, bound, 0.2)

    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(10)
        return response

    async with api.serving(silent) as follower:
        with pytest.raises(Unavailable):
            await read(follower, follow=follow)


async def test_no_api_server_is_unavailable(api: ApiServer) -> None:
    async with api.serving(hello):
        pass
    follower = KubernetesLogFollower(str(api.kubeconfig))
    with pytest.raises(Unavailable):
        await read(follower)
    await follower.close()
