"""The one HTTP client to OpenMetadata's server."""
