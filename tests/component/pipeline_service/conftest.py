import pytest

from ingestion_operator.pipeline_service import K8sPipelineServiceClient
from ingestion_operator.pipeline_service.warm_pool import WarmPool
from testing.entities import entity
from testing.simulated_jobs import RESOURCE
from testing.simulation import Simulation
from testing.warm_pods import Pods, another, client_of, size


@pytest.fixture(params=[False, True], ids=["live", "cached"])
def simulation(request: pytest.FixtureRequest) -> Simulation:
    """A cluster with nothing in it, and a client that reads it live or from a cache."""
    return Simulation(is_cached=request.param)


@pytest.fixture
def deployed(simulation: Simulation) -> Simulation:
    """A cluster with one pipeline that the operator has seen."""
    simulation.client.deploy_pipeline(entity())
    simulation.operate(RESOURCE)
    return simulation


@pytest.fixture
def pods() -> Pods:
    return Pods()


@pytest.fixture
def pool(simulation: Simulation, pods: Pods) -> WarmPool:
    """A pool of one, as a replica of the gateway sees it; nothing of it has been made yet."""
    size(simulation, 1)
    return another(simulation, pods)


@pytest.fixture
def client(simulation: Simulation, pool: WarmPool) -> K8sPipelineServiceClient:
    """The service in front of that pool."""
    return client_of(simulation, pool)
