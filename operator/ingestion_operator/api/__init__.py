"""The custom resource as pydantic models; the CRD is generated from them."""
