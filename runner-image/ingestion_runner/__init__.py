"""The program inside an ingestion pod: a light parent that supervises and reports, a child that runs the
workflow.

The parent (``python -m ingestion_runner``) uses the standard library only. Everything that needs
openmetadata-ingestion, PyYAML or Jinja2 lives in :mod:`ingestion_runner.workflow`, which only the child
imports.
"""

__version__ = "0.1.0"
