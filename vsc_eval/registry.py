"""Named things that anybody can add to: edit kinds, selection scores, synthetic tasks, SAE layouts, metrics, backends.

Each thing is one object. Ours are listed where their `Registry` is made, as "module:object"; those of other packages
are entry points of its group in their pyproject.toml:

    [project.entry-points."vsc_eval.edits"]
    square = "my_package.square:SQUARE"

Modules are imported when a thing is asked for, other packages' when a name is asked for that we lack, or all of them.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name
from typing import Any, Generic, Protocol, TypeVar

from vsc_eval.errors import SpecError, known_names


class Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """Things of one kind by name: ours first, in their order, then those of other packages and of `register`."""

    def __init__(
        self,
        what: str,
        group: str,
        shipped: Mapping[str, str],
        kind: type,
        check: Callable[[Any], str | None] = lambda thing: None,
    ) -> None:
        """`what`: a thing of this kind in words, "edit kind". `group`: of entry points. `shipped`: name ->
        "module:object". `check`: why an object of type `kind` cannot be such a thing; None if it can."""
        self.what, self.group, self.shipped = what, group, tuple(shipped)
        self._targets, self._kind, self._check = shipped, kind, check
        self._registered: dict[str, T] = {}

    def names(self) -> tuple[str, ...]:
        """All names; imports nothing. Raises SpecError where two packages give the same one."""
        return tuple(dict.fromkeys((*self.shipped, *self._points, *self._registered)))

    def added(self) -> tuple[str, ...]:
        """The names that are not ours."""
        return tuple(name for name in self.names() if name not in self.shipped)

    def __contains__(self, name: object) -> bool:
        return name in self._targets or name in self._registered or name in self._points

    def __iter__(self) -> Iterator[T]:
        """All things, imported."""
        return (self.get(name) for name in self.names())

    def get(self, name: str) -> T:
        """The thing of that name. Raises SpecError for an unknown one, naming the known ones, and for one of another
        package that cannot be imported or is of another kind, naming the package."""
        if name in self._targets:
            ours: T = resolve_name(self._targets[name])
            return ours
        if name not in self:
            raise SpecError(f"Unknown {self.what} '{name}'.", hint=self._known(name))
        return self._registered[name] if name in self._registered else self._foreign(self._points[name])

    def valid(self, name: str) -> str:
        """`name` as it is, for fields of specs; raises ValueError for an unknown one, as pydantic wants it."""
        if name not in self:
            raise ValueError(f"unknown {self.what} '{name}'. {self._known(name).removesuffix('.')}")
        return name

    def register(self, thing: T) -> T:
        """Add a thing to this process under its own name, as an entry point does for every process. Raises SpecError
        for a taken name and for what is no such thing."""
        if why := self._fault(thing):
            raise SpecError(f"{thing!r} is no {self.what}: {why}.", hint=f"See vsc_eval.registry and {self.group}.")
        if thing.name in self:
            raise SpecError(
                f"There is a {self.what} '{thing.name}' already.", hint="Choose another name, or unregister yours."
            )
        self._registered[thing.name] = thing
        return thing

    def unregister(self, name: str) -> None:
        """Take back what `register` added, as a notebook that defines it anew must. Raises SpecError for any other."""
        if name not in self._registered:
            raise SpecError(
                f"No {self.what} '{name}' was registered here.", hint="Only what `register` added can go again."
            )
        del self._registered[name]

    def _known(self, name: str) -> str:
        return known_names(f"{self.what}s", name, self.names())

    @cached_property
    def _points(self) -> dict[str, EntryPoint]:
        """Entry points of other packages by name."""
        found: dict[str, EntryPoint] = {}
        for point in sorted(entry_points(group=self.group), key=lambda point: point.name):
            other = self._targets.get(point.name) or (found[point.name].value if point.name in found else point.value)
            if other != point.value:
                raise SpecError(
                    f"Two packages give the {self.what} '{point.name}': {other} and {_words(point)}.",
                    hint="Uninstall one of them, or rename its entry point.",
                )
            found[point.name] = point
        return found

    def _fault(self, thing: Any) -> str | None:
        if not isinstance(thing, self._kind):
            return f"it is of type {type(thing).__name__}, not {self._kind.__name__}"
        return self._check(thing)

    def _foreign(self, point: EntryPoint) -> T:
        what = f"The {self.what} '{point.name}' of {_words(point)}"
        try:
            thing: T = point.load()
        # A foreign module may raise anything while it is imported.
        except Exception as error:
            raise SpecError(
                f"{what} cannot be imported: {type(error).__name__}: {error}.", hint="Repair or uninstall that package."
            ) from error
        why = self._fault(thing) or (f"its name is '{thing.name}'" if thing.name != point.name else None)
        if why:
            raise SpecError(f"{what} cannot be used: {why}.", hint="Update or uninstall that package.")
        return thing


def _words(point: EntryPoint) -> str:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
    return f"{package} ({point.value})"
