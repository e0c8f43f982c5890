"""The program in the pod of a run: a small parent process supervises and reports, and a child runs the workflow.

The parent (``python -m ingestion_runner``) uses only the standard library. Everything that needs
openmetadata-ingestion, PyYAML or Jinja2 is in :mod:`ingestion_runner.workflow`, which only the child imports.
"""

__version__ = "0.1.0"
