"""`python -m benchmarks.cache`: the cache beside the official client's informer and its asynchronous lists.

Each case is a process of its own beside a small API server with 20,000 Jobs (or pods, or 5,000 pipelines of 20 runs).
"""

import argparse
import asyncio
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from aiohttp import web

from ingestion_operator import constants
from ingestion_operator.adapters.kube.api_session import ApiSession
from ingestion_operator.adapters.kube.client import connect, read_configuration
from ingestion_operator.cache import Cache
from ingestion_operator.ports import JOBS, PIPELINES, PODS, Kind
from ingestion_operator.runtime.gc_tuning import gc_paused

_COUNTS: Final = {JOBS: 20_000, PODS: 20_000, PIPELINES: 5_000}
_KINDS: Final = {kind.plural: kind for kind in _COUNTS}
_TIME: Final = "2026-03-01T12:00:00Z"
_FILL: Final = {JOBS: 2_400, PODS: 2_400, PIPELINES: 1_500}
"""Characters of managedFields, so that a Job has some 6 KB, as rendered ones have."""


def _metadata(kind: Kind, number: int) -> dict[str, Any]:
    pipeline = f"pipeline-{number % 5000:04}"
    owner = f"job-{number}" if kind == PODS else pipeline
    named = {} if kind == PIPELINES else {"labels": {constants.LABEL_PIPELINE: pipeline}}
    uid = f"33333333-3333-4333-8333-{number if kind == PODS else number % 5000:012}"
    owners = [{"apiVersion": "v1", "kind": "Job", "name": owner, "uid": uid, "controller": True}]
    return named | {
        "name": f"{pipeline}-{number:07}" if kind != PIPELINES else pipeline,
        "namespace": "data",
        "uid": f"11111111-1111-4111-8111-{number:012}",
        "resourceVersion": str(1_000_000 + number),
        "generation": 1,
        "creationTimestamp": _TIME,
        "annotations": {constants.ANNOTATION_PIPELINE_NAME: pipeline, constants.ANNOTATION_SCHEDULED_AT: _TIME},
        "ownerReferences": [] if kind == PIPELINES else owners,
        "managedFields": [
            {
                "manager": "kube-controller-manager",
                "operation": "Update",
                "apiVersion": "v1",
                "time": _TIME,
                "fieldsType": "FieldsV1",
                "fieldsV1": {f"f:field-{place:03}": {} for place in range(_FILL[kind] // 18)},
            }
        ],
    }


def body_of(kind: Kind, number: int) -> dict[str, Any]:
    """Return an object with what decisions read and as many bytes as a real one."""
    run_input = {
        "server": {"hostPort": "http://openmetadata:8585/api", "version": "1.13", "verifySSL": "no-ssl"},
        "service": {"type": "databaseService", "name": "shop"},
        "fullyQualifiedName": f"shop.pipeline-{number % 5000:04}",
        "sourceConfig": {"config": {f"option{place}": True for place in range(40)}},
    }
    container = {
        "name": constants.RUNNER_CONTAINER,
        "image": "registry.example/runner:1.13",
        "resources": {"limits": {"memory": "2Gi"}, "requests": {"memory": "1Gi"}},
    }
    spec = {"restartPolicy": "Never", "containers": [container], "nodeName": f"node-{number % 20}"}
    body: dict[str, Any] = {"metadata": _metadata(kind, number)}
    if kind == JOBS:
        template = {"metadata": {"annotations": {constants.ANNOTATION_RUN_INPUT: json.dumps(run_input)}}, "spec": spec}
        done = {"type": "Complete", "status": "True", "lastTransitionTime": _TIME, "reason": "CompletionsReached"}
        body["spec"] = {"backoffLimit": 0, "template": template}
        body["status"] = {"succeeded": 1, "startTime": _TIME, "conditions": [done]}
    elif kind == PODS:
        ended = {"exitCode": 0, "reason": "Completed", "startedAt": _TIME, "finishedAt": _TIME}
        status = {"name": constants.RUNNER_CONTAINER, "state": {"terminated": ended}, "ready": False}
        body["spec"] = spec
        body["status"] = {"phase": "Succeeded", "conditions": [], "containerStatuses": [status]}
    else:
        runs = [
            {"id": f"22222222-2222-4222-8222-{number:06}{run:06}", "job": f"j-{run}", "state": "success"}
            | {"created": _TIME, "start": _TIME, "end": _TIME, "reason": "Completed", "attempts": [{"pod": f"p-{run}"}]}
            for run in range(20)
        ]
        body |= {"apiVersion": constants.API_VERSION, "kind": constants.KIND}
        body["spec"] = run_input | {"pipelineType": "metadata", "schedule": {"cron": "0 2 * * *"}}
        body["status"] = {"runs": runs}
    return body


def _texts(kind: Kind) -> Iterator[str]:
    return (json.dumps(body_of(kind, number)) for number in range(_COUNTS[kind]))


# The API server


def _serve(plural: str) -> None:
    """Serve one kind until the process is ended; print the port."""
    kind = _KINDS[plural]
    texts = list(_texts(kind))

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.query.get("watch", "").lower() == "true":
            response = web.StreamResponse()
            await response.prepare(request)
            await asyncio.sleep(3600)
            return response
        begin = int(request.query.get("continue", 0))
        end = begin + int(request.query.get("limit", len(texts)))
        metadata = {"resourceVersion": "2000000"} | ({"continue": str(end)} if end < len(texts) else {})
        head = json.dumps({"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata})
        text = f'{head[:-1]}, "items": [{",".join(texts[begin:end])}]}}'
        return web.Response(text=text, content_type="application/json")

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.sleep(3600)

    asyncio.run(run())


# The cases


class _Measured:
    """Seconds, CPU time, memory of the process before and after, and the longest stall of the event loop."""

    def __init__(self) -> None:
        gc.collect()
        self._before, self._begun, self._worked = _resident(), time.monotonic(), time.process_time()
        self.longest_stall = 0.0

    def report(self, what: str) -> None:
        seconds, worked = time.monotonic() - self._begun, time.process_time() - self._worked
        gc.collect()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        kept, top = _resident() - self._before, peak - self._before
        print(f"{what:44} {seconds:6.1f} s   CPU {worked:5.1f} s   kept {kept:6.0f} MiB   peak +{top:6.0f} MiB", end="")
        print(f"   longest stall {self.longest_stall * 1000:5.0f} ms" if self.longest_stall else "", flush=True)

    async def attend(self) -> None:
        """Measure the event loop until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.001)
            self.longest_stall = max(self.longest_stall, loop.time() - before)


def _resident() -> float:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))) / 1024


def _informer(kubeconfig: str, _kind: Kind) -> None:
    from kubernetes import client  # noqa: PLC0415  the other cases must not pay for it
    from kubernetes.informer import SharedInformer  # noqa: PLC0415

    api = client.BatchV1Api(connect(read_configuration(kubeconfig)))
    measured = _Measured()
    informer = SharedInformer(  # type: ignore[no-untyped-call]
        api.list_job_for_all_namespaces, label_selector=constants.LABEL_PIPELINE
    )
    informer.start()  # type: ignore[no-untyped-call]
    while informer._resource_version is None:  # noqa: SLF001  it has no other sign
        time.sleep(0.01)
    measured.report(f"kubernetes.informer: {len(informer.cache.list())} Jobs")
    os._exit(0)  # its thread waits in the watch, and Python does not end well beside it


def _aio(kubeconfig: str, _kind: Kind) -> None:
    from kubernetes.aio import client, config  # noqa: PLC0415

    async def run() -> None:
        await config.load_kube_config(kubeconfig)  # type: ignore[no-untyped-call]
        async with client.ApiClient() as api:
            measured = _Measured()
            attending = asyncio.create_task(measured.attend())
            found = await client.BatchV1Api(api).list_job_for_all_namespaces(label_selector=constants.LABEL_PIPELINE)
            await asyncio.sleep(0.01)
            measured.report(f"kubernetes.aio: {len(found.items)} Jobs")
            attending.cancel()

    asyncio.run(run())


def _cache(kubeconfig: str, kind: Kind) -> None:
    async def run() -> None:
        session = ApiSession(kubeconfig)
        cache = Cache(session, [""], [kind])
        seen, has_all = 0, asyncio.Event()

        def count(*_: object) -> None:
            nonlocal seen
            seen += 1
            if seen == _COUNTS[kind]:
                has_all.set()

        cache.store.on_change(count)
        measured = _Measured()
        attending = asyncio.create_task(measured.attend())
        running = asyncio.create_task(cache.run())
        await has_all.wait()
        measured.report(f"cache: {seen} {kind.plural}")
        attending.cancel()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await session.close()

    asyncio.run(run())


def _kept(make: Callable[[dict[str, Any]], object], what: str) -> Callable[[str, Kind], None]:
    def run(_kubeconfig: str, kind: Kind) -> None:
        size = sum(map(len, _texts(kind))) / _COUNTS[kind]
        measured = _Measured()
        kept = [make(json.loads(text)) for text in _texts(kind)]
        measured.report(f"{what}: {len(kept)} {kind.plural} of {size:.0f} bytes")

    return run


_CASES: Final[dict[str, Callable[[str, Kind], None]]] = {
    "informer": _informer,
    "aio": _aio,
    "cache": _cache,
    "dicts": _kept(lambda body: body, "dicts"),
    "bare": _kept(
        lambda body: body | {"metadata": body["metadata"] | {"managedFields": None}}, "dicts, no managedFields"
    ),
}
_PLAN: Final = [
    *((case, JOBS) for case in ("informer", "aio", "cache", "dicts", "bare")),
    *((case, kind) for kind in (PODS, PIPELINES) for case in ("cache", "dicts", "bare")),
]


def _measure(case: str, kind: Kind) -> None:
    server = subprocess.Popen([sys.executable, "-m", __spec__.name, "--serve", kind.plural], stdout=subprocess.PIPE)
    try:
        url = f"http://127.0.0.1:{int((server.stdout or sys.stdin).readline())}"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {"token": "any"}}],
        }
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as kubeconfig:
            yaml.safe_dump(document, kubeconfig)
            kubeconfig.flush()
            command = [sys.executable, "-m", __spec__.name, "--case", case, kind.plural, kubeconfig.name]
            subprocess.run(command, check=True, env={**os.environ, "MALLOC_ARENA_MAX": "2"})
    finally:
        server.kill()
        server.wait()


def main() -> None:
    """Run all cases one after the other, or the part of one that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve")
    parser.add_argument("--case", nargs=3)
    arguments = parser.parse_args()
    if arguments.serve:
        _serve(arguments.serve)
    elif arguments.case:
        case, plural, kubeconfig = arguments.case
        with gc_paused():
            pass  # the collector as in our programs
        _CASES[case](kubeconfig, _KINDS[plural])
    else:
        for case, kind in _PLAN:
            _measure(case, kind)


if __name__ == "__main__":
    main()
