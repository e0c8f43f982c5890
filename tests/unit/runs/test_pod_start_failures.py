"""Why a pod does not start, with the remedy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.runs.pod_start_failures import cause_in_events, cause_in_pod
from testing.objects import event

PULL = 'failed to pull and unpack image "x:1": not found'


@pytest.mark.parametrize(
    ("reason", "message", "word", "text"),
    [
        ("ImagePullBackOff", f'Back-off pulling image "x:1": ErrImagePull: {PULL}', "ImagePullBackOff",
         f"its image cannot be pulled: {PULL}; correct the image or the registry's credentials (podTemplate.spec"),
        ("ImagePullBackOff", 'Back-off pulling image "x:1"', "ImagePullBackOff", "its image cannot be pulled; correct"),
        ("InvalidImageName", "couldn't parse", "InvalidImageName", "the name of its image is wrong: couldn't parse;"),
        ("CreateContainerConfigError", 'secret "a" not found', "CreateContainerConfigError",
         'its container cannot be created: secret "a" not found; create the missing object'),
        ("Unschedulable", "0/1 nodes are available", "Unschedulable",
         "no node is suitable: 0/1 nodes are available; add"),
        ("CrashLoopBackOff", "back-off 10s restarting failed container=proxy", "CrashLoopBackOff",
         "a sidecar exits repeatedly: back-off 10s restarting failed container=proxy; check kubectl logs with -c"),
        ("SidecarNotStarted", "proxy", "SidecarNotStarted",
         "the startupProbe of a sidecar has not succeeded yet: proxy; check kubectl logs"),
        ("ContainerCreating", "", "ContainerCreating", "ContainerCreating"),
        ("SchedulingGated", "gated", "SchedulingGated", "SchedulingGated: gated"),
    ],
)  # fmt: skip
def test_a_pod_names_its_cause(reason: str, message: str, word: str, text: str) -> None:
    cause = cause_in_pod(reason, message)
    assert cause.reason == word
    assert cause.text.startswith(text)


def test_both_reasons_of_a_failed_pull_are_one_cause() -> None:
    assert cause_in_pod("ErrImagePull", PULL) == cause_in_pod(
        "ImagePullBackOff", f'Back-off pulling image "x:1": ErrImagePull: {PULL}'
    )


@pytest.mark.parametrize(
    ("reason", "message", "word", "text"),
    [
        ("FailedMount", 'MountVolume.SetUp failed for volume "token" : secret "ingestion-bot" not found',
         "SecretNotFound", "Secret ingestion-bot does not exist: create it"),
        ("FailedMount", 'MountVolume.SetUp failed for volume "token" : references non-existent secret key: token',
         "SecretKeyNotFound", "a Secret that it mounts has no key token: add it"),
        ("FailedMount", 'MountVolume.SetUp failed for volume "ca" : configmap "ca" not found',
         "ConfigMapNotFound", "ConfigMap ca does not exist: create it"),
        ("FailedMount", 'MountVolume.SetUp failed for volume "ca" : references non-existent config key: a.crt',
         "ConfigMapKeyNotFound", "a ConfigMap that it mounts has no key a.crt: add it"),
        ("FailedMount", "Unable to attach or mount volumes", "FailedMount",
         "FailedMount: Unable to attach or mount volumes"),
        ("FailedCreate", 'Error creating: pods "x-1" is forbidden: exceeded quota: small, requested: memory=1Gi',
         "QuotaExceeded", "exceeded quota: small, requested: memory=1Gi; raise the quota"),
        ("FailedCreate", 'Error creating: pods "x-1" is forbidden: violates PodSecurity "restricted:latest": runAsRoot',
         "PodSecurityViolation", 'it violates PodSecurity "restricted:latest": runAsRoot; correct'),
        ("FailedCreate", 'admission webhook "policy" denied the request', "PodRefused",
         'Kubernetes rejects it: admission webhook "policy" denied the request; correct'),
    ],
)  # fmt: skip
def test_an_event_names_the_cause(reason: str, message: str, word: str, text: str) -> None:
    cause = cause_in_events([event("a", reason, message)])
    assert cause is not None
    assert cause.reason == word
    assert cause.text.startswith(text)


def test_a_newer_event_replaces_a_cause() -> None:
    missing = event("a", "FailedMount", 'secret "bot" not found', seconds=5)
    pulling = event("a", "Pulling", "Pulling image", warning=False, seconds=9)
    pulled = event("a", "Pulled", "Pulled", warning=False, seconds=99)
    for events in ([pulling, missing], [missing, pulling]):
        now = cause_in_events(events)
        assert now is not None
        assert now.reason == "Pulling"
    assert cause_in_events([pulled, missing, pulling]) is None
    assert cause_in_events([]) is None


@given(st.text(max_size=3000), st.text(max_size=3000))
def test_the_fix_fits_into_a_record_after_any_message(reason: str, message: str) -> None:
    for cause in (cause_in_pod("Unschedulable", message), cause_in_events([event("a", "FailedCreate", message)])):
        assert cause is not None
        assert len(cause.text.encode()) < 900
    for cause in (cause_in_pod(reason, message), cause_in_events([event("a", reason, message)])):
        assert cause is not None
        assert len(cause.reason) <= 64
