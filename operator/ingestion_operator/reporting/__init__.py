"""Reporting the ends of runs to OpenMetadata where nothing in their pods could."""
