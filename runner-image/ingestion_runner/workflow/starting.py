"""A quick start of openmetadata-ingestion, which imports far more than one run uses.

Three things are done from outside, without touching the library. The garbage collector rests while thousands of
modules are imported, and afterwards leaves alone what they have made. Modules that are imported only for a class
which hardly any run uses are executed when that class is used. And the versions of installed packages are read once:
the library asks for its own with every statement it sends to a database, and parses its package's description anew.

What may be deferred was chosen by measurement (``python -X importtime``), and only where the class is called, named
in annotations or asked for an attribute: a class that is derived from, or caught in an ``except``, must be the real
one.
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
    # One is used where the server keeps its secrets in a cloud; all bring that cloud's client libraries.
    f"{_SECRETS}.aws_secrets_manager": "AWSSecretsManager",
    f"{_SECRETS}.aws_ssm_secrets_manager": "AWSSSMSecretsManager",
    f"{_SECRETS}.azure_kv_secrets_manager": "AzureKVSecretsManager",
    f"{_SECRETS}.gcp_secrets_manager": "GCPSecretsManager",
    f"{_SECRETS}.kubernetes_secrets_manager": "KubernetesSecretsManager",
    # The parsers of SQL, for lineage and usage. sqlfluff brings pytest.
    f"{_PARSERS}.sqlfluff.analyzer": "SqlFluffLineageAnalyzer",
    f"{_PARSERS}.sqlglot.analyzer": "SqlGlotLineageAnalyzer",
}
"""Modules, each with the one class that others import from it."""

_loading = threading.RLock()


@contextlib.contextmanager
def quick_import(deferred: Mapping[str, str] = DEFERRED) -> Iterator[None]:
    """Import the library inside the block; what it does not find in time is imported as ever."""
    finder = _Finder(deferred)
    sys.meta_path.insert(0, finder)
    gc.disable()
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        # Modules live until the end: looking through all of them again and again costs a run seconds.
        gc.freeze()
        gc.enable()


def remember_package_versions() -> None:
    """Make ``importlib.metadata.version`` read each package's description only once in this process."""
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
    """Found, but not executed yet. It becomes an ordinary module when it is."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # a question of the import system's, such as for __path__
        _, stand_in = vars(self)["_deferred"]
        if name == stand_in.__name__:
            return stand_in
        return getattr(_executed(self), name)


class _StandInType(type):
    """The type of the classes that stand in for a deferred one."""

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
            changing: Any = module  # into another class and back, which no type checker follows
            deferred = vars(module).pop("_deferred")
            changing.__class__ = ModuleType
            try:
                deferred[0].exec_module(module)
            except BaseException:
                # As after any failed import, the next use tries again.
                vars(module)["_deferred"] = deferred
                changing.__class__ = _DeferredModule
                raise
            if module.__spec__ is not None:
                module.__spec__.loader = module.__loader__ = deferred[0]
    return module
