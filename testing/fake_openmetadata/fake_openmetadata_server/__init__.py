"""A fake OpenMetadata server, as far as the ingestion client uses it.

Every body it receives and every entity it hands out is checked with the pydantic models that
openmetadata-ingestion itself ships. All calls are recorded; it can be made to fail.
"""
