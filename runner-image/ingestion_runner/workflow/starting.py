"""A faster start of openmetadata-ingestion, which imports far more modules than one run uses.

This module makes three changes from outside of the library. The garbage collector is paused during the import of
thousands of modules, and then ignores their objects. Modules that are imported only for one rarely used class are
executed at the first use of that class. And the versions of installed packages are read once: the library requests its
own version with every statement to a database, and each time parses the metadata of its package.

The deferred modules were chosen by measurement (``python -X importtime``), and only where the class is called, used in
annotations or accessed by attribute. A base class, or a class in an ``except`` clause, must be the real one.
"""

import contextlib
import functools
import gc
import importlib.metadata
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_SECRETS = "metadata.utils.secrets"
_PARSERS = "collate_sqllineage.core.parser"

DEFERRED: Mapping[str, str] = {
    # At most one of them is used, with a secrets manager in a cloud. Each imports the client libraries of its cloud.
    f"{_SECRETS}.aws_secrets_manager": "AWSSecretsManager",
    f"{_SECRETS}.aws_ssm_secrets_manager": "AWSSSMSecretsManager",
    f"{_SECRETS}.azure_kv_secrets_manager": "AzureKVSecretsManager",
    f"{_SECRETS}.gcp_secrets_manager": "GCPSecretsManager",
    f"{_SECRETS}.kubernetes_secrets_manager": "KubernetesSecretsManager",
    # The SQL parsers for lineage and usage. sqlfluff imports pytest.
    f"{_PARSERS}.sqlfluff.analyzer": "SqlFluffLineageAnalyzer",
    f"{_PARSERS}.sqlglot.analyzer": "SqlGlotLineageAnalyzer",
}
"""Modules, each with the only class that other modules import from it."""

_loading = threading.RLock()


@contextlib.contextmanager
def quick_import(deferred: Mapping[str, str] = DEFERRED) -> Iterator[None]:
    """Import the library inside the block, with the deferred modules."""
    finder = _Finder(deferred)
    sys.meta_path.insert(0, finder)
    gc.disable()
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        # Modules are never freed: scanning their objects again and again would cost a run seconds.
        gc.freeze()
        gc.enable()


def remember_package_versions() -> None:
    """Make ``importlib.metadata.version`` read the metadata of each package only once in this process."""
    if not hasattr(importlib.metadata.version, "cache_info"):
        importlib.metadata.version = functools.cache(importlib.metadata.version)


class _Finder(MetaPathFinder):
    def __init__(self, deferred: Mapping[str, str]) -> None:
        self._deferred = deferred

    def find_spec(self, name: str, path: Sequence[str] | None, _target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in self._deferred:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._deferred[name])
        return spec


class _Loader(Loader):
    def __init__(self, loader: Loader, class_name: str) -> None:
        self._loader = loader
        self._class_name = class_name

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _DeferredModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        stand_in = _StandInType(self._class_name, (), {"__module__": module.__name__})
        stand_in.module = module
        vars(module)["_deferred"] = (self._loader, stand_in)


class _DeferredModule(ModuleType):
    """A module that is found but not executed yet. Its execution turns it into an ordinary module."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # requests of the import system, such as for __path__
        _, stand_in = vars(self)["_deferred"]
        if name == stand_in.__name__:
            return stand_in
        return getattr(_executed(self), name)


class _StandInType(type):
    """The type of placeholders for deferred classes."""

    module: ModuleType

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        return cls._real()(*arguments, **named)

    def __getattr__(cls, name: str) -> Any:
        return getattr(cls._real(), name)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls._real())

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls._real())

    def _real(cls) -> Any:
        return vars(_executed(cls.module))[cls.__name__]


def _executed(module: ModuleType) -> ModuleType:
    with _loading:
        if isinstance(module, _DeferredModule):
            changing: Any = module  # to another class and back, which type checkers do not follow
            deferred = vars(module).pop("_deferred")
            changing.__class__ = ModuleType
            try:
                deferred[0].exec_module(module)
            except BaseException:
                # The next use tries again, as after any failed import.
                vars(module)["_deferred"] = deferred
                changing.__class__ = _DeferredModule
                raise
            if module.__spec__ is not None:
                module.__spec__.loader = module.__loader__ = deferred[0]
    return module
