"""Reports of ended runs to OpenMetadata, for runs whose pods could not report."""
