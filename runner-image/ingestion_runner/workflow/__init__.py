"""The child: does the work with the image's own openmetadata-ingestion, which it alone imports."""
