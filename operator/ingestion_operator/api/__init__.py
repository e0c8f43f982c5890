"""The custom resource, the settings and the results of the service as pydantic models."""
