"""The kinds of entities the fake OpenMetadata server stores, and how a create request becomes an entity."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One REST collection below /api/v1."""

    path: str
    entity_type: str
    """The type in entity references: `table`, `databaseService`, ..."""
    entity: str
    create: str
    """Models, as `schemas.model` takes them."""
    parent_field: str | None = None
    """The field that holds the parent's name in the create request and its reference in the entity."""
    parent_paths: tuple[str, ...] = ()
    inherited: tuple[str, ...] = ()
    """Fields copied from the parent."""
    versioned: bool = False
    """Whether earlier versions are kept, for tests to read."""


def _service(path: str, entity_type: str, model: str) -> Kind:
    return Kind(
        f"services/{path}",
        entity_type,
        entity=f"entity.services.{entity_type}:{model}",
        create=f"api.services.create{model}:Create{model}Request",
    )


def _asset(path: str, model: str, service: str, *, file: str | None = None) -> Kind:
    entity_type = file or model[0].lower() + model[1:]
    return Kind(
        path,
        entity_type,
        entity=f"entity.data.{entity_type}:{model}",
        create=f"api.data.create{model}:Create{model}Request",
        parent_field="service",
        parent_paths=(f"services/{service}",),
        inherited=("serviceType",),
    )


def _below(path: str, model: str, parent_field: str, parent_path: str, inherited: tuple[str, ...]) -> Kind:
    entity_type = model[0].lower() + model[1:]
    return Kind(
        path,
        entity_type,
        entity=f"entity.data.{entity_type}:{model}",
        create=f"api.data.create{model}:Create{model}Request",
        parent_field=parent_field,
        parent_paths=(parent_path,),
        inherited=inherited,
    )


def _standalone(path: str, entity_type: str, *, entity: str, create: str) -> Kind:
    return Kind(path, entity_type, entity=entity, create=create)


SERVICES = (
    _service("apiServices", "apiService", "ApiService"),
    _service("dashboardServices", "dashboardService", "DashboardService"),
    _service("databaseServices", "databaseService", "DatabaseService"),
    _service("driveServices", "driveService", "DriveService"),
    _service("messagingServices", "messagingService", "MessagingService"),
    _service("metadataServices", "metadataService", "MetadataService"),
    _service("mlmodelServices", "mlmodelService", "MlModelService"),
    _service("pipelineServices", "pipelineService", "PipelineService"),
    _service("searchServices", "searchService", "SearchService"),
    _service("securityServices", "securityService", "SecurityService"),
    _service("storageServices", "storageService", "StorageService"),
)

TEST_DEFINITIONS = Kind(
    "dataQuality/testDefinitions",
    "testDefinition",
    entity="tests.testDefinition:TestDefinition",
    create="api.tests.createTestDefinition:CreateTestDefinitionRequest",
)
TEST_SUITES = Kind(
    "dataQuality/testSuites",
    "testSuite",
    entity="tests.testSuite:TestSuite",
    create="api.tests.createTestSuite:CreateTestSuiteRequest",
)
TEST_CASES = Kind(
    "dataQuality/testCases",
    "testCase",
    entity="tests.testCase:TestCase",
    create="api.tests.createTestCase:CreateTestCaseRequest",
)

INGESTION_PIPELINES = Kind(
    "services/ingestionPipelines",
    "ingestionPipeline",
    entity="entity.services.ingestionPipelines.ingestionPipeline:IngestionPipeline",
    create="api.services.ingestionPipelines.createIngestionPipeline:CreateIngestionPipelineRequest",
    parent_field="service",
    parent_paths=(*(service.path for service in SERVICES), TEST_SUITES.path),
)

AUTOMATIONS = Kind(
    "automations/workflows",
    "workflow",
    entity="entity.automations.workflow:Workflow",
    create="api.automations.createWorkflow:CreateWorkflowRequest",
    versioned=True,
)

KINDS: dict[str, Kind] = {
    kind.path: kind
    for kind in (
        *SERVICES,
        INGESTION_PIPELINES,
        _asset("databases", "Database", "databaseServices"),
        _below("databaseSchemas", "DatabaseSchema", "database", "databases", ("service", "serviceType")),
        *(
            _below(path, model, "databaseSchema", "databaseSchemas", ("database", "service", "serviceType"))
            for path, model in (("tables", "Table"), ("storedProcedures", "StoredProcedure"))
        ),
        _asset("queries", "Query", "databaseServices"),
        _asset("topics", "Topic", "messagingServices"),
        _asset("dashboards", "Dashboard", "dashboardServices"),
        _asset("charts", "Chart", "dashboardServices"),
        _asset("dashboard/datamodels", "DashboardDataModel", "dashboardServices"),
        _asset("pipelines", "Pipeline", "pipelineServices"),
        _asset("containers", "Container", "storageServices"),
        _asset("mlmodels", "MlModel", "mlmodelServices", file="mlmodel"),
        _asset("searchIndexes", "SearchIndex", "searchServices"),
        _asset("apiCollections", "APICollection", "apiServices", file="apiCollection"),
        Kind(
            "apiEndpoints",
            "apiEndpoint",
            entity="entity.data.apiEndpoint:APIEndpoint",
            create="api.data.createAPIEndpoint:CreateAPIEndpointRequest",
            parent_field="apiCollection",
            parent_paths=("apiCollections",),
            inherited=("service", "serviceType"),
        ),
        _standalone(
            "classifications",
            "classification",
            entity="entity.classification.classification:Classification",
            create="api.classification.createClassification:CreateClassificationRequest",
        ),
        Kind(
            "tags",
            "tag",
            entity="entity.classification.tag:Tag",
            create="api.classification.createTag:CreateTagRequest",
            parent_field="classification",
            parent_paths=("classifications",),
        ),
        _standalone("users", "user", entity="entity.teams.user:User", create="api.teams.createUser:CreateUserRequest"),
        _standalone("teams", "team", entity="entity.teams.team:Team", create="api.teams.createTeam:CreateTeamRequest"),
        TEST_DEFINITIONS,
        TEST_SUITES,
        TEST_CASES,
        AUTOMATIONS,
    )
}


def find(segments: tuple[str, ...]) -> tuple[Kind, tuple[str, ...]] | None:
    """The kind that a path addresses and what follows it; None for an unknown collection."""
    for length in (2, 1):
        kind = KINDS.get("/".join(segments[:length])) if len(segments) >= length else None
        if kind is not None:
            return kind, segments[length:]
    return None
