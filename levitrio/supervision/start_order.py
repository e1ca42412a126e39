"""Start order of children, and groups whose members restart together. Pure."""

from collections.abc import Collection, Mapping
from enum import StrEnum

import attrs

from levitrio.supervision.child import Child


class GroupRule(StrEnum):
    """Which members of a group restart when one crashes, in the words of Erlang's supervisor."""

    ONE_FOR_ONE = "one_for_one"
    """Only the one that crashed."""
    ONE_FOR_ALL = "one_for_all"
    """All members."""
    REST_FOR_ONE = "rest_for_one"
    """The one that crashed and all that were added after it."""


def find_cycle(after: Mapping[str, Collection[str]]) -> tuple[str, ...] | None:
    """Find a cycle in the start order: `("A", "B", "A")` for A after B after A, or None.

    Names that are not keys are ignored. Iterative, because a chain may be as long as the fleet.
    """
    done: set[str] = set()
    for root in after:
        path: dict[str, None] = {}
        todo: list[tuple[str, bool]] = [(root, True)]
        while todo:
            name, entering = todo.pop()
            if not entering:
                del path[name]
                done.add(name)
            elif name in path:
                names = list(path)
                return (*names[names.index(name) :], name)
            elif name not in done:
                path[name] = None
                todo.append((name, False))
                todo.extend((other, True) for other in after[name] if other in after)
    return None


@attrs.define(eq=False)
class Group:
    """Ends members together with one that crashed; all wait for those before they restart."""

    rule: GroupRule
    members: list[Child] = attrs.field(factory=list)
    """In the order they were added."""
    draining: dict[str, None] = attrs.field(factory=dict)
    """Members that end because another crashed: no member starts before they have ended."""

    def falling_with(self, child: Child) -> list[Child]:
        """Members to end because this one crashed; none when it is itself ending for another."""
        if self.rule is GroupRule.ONE_FOR_ONE or child.name in self.draining:
            return []
        if self.rule is GroupRule.REST_FOR_ONE:
            return self.members[self.members.index(child) + 1 :]
        return [member for member in self.members if member is not child]

    def drained(self, child: Child) -> None:
        """Note that a member has ended, or is stuck and must not delay the others."""
        if child.name in self.draining:
            del self.draining[child.name]
            if not self.draining:
                for member in self.members:
                    member.wake()
