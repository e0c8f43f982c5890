"""The child: builds the workflow's configuration and runs it with the image's own openmetadata-ingestion."""
