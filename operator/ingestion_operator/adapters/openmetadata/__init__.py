"""The HTTP client for OpenMetadata's server."""
