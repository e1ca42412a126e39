"""Who starts after whom, and who falls with whom. Pure."""

from collections.abc import Collection, Mapping
from enum import StrEnum

import attrs

from levitrio.supervision.child import Child


class GroupRule(StrEnum):
    """What a crash in a group means for the other members, in the words of Erlang's supervisor."""

    ONE_FOR_ONE = "one_for_one"
    """Nothing."""
    ONE_FOR_ALL = "one_for_all"
    """All of them end, and all start again."""
    REST_FOR_ONE = "rest_for_one"
    """Those added after it end and start again with it."""


def find_cycle(after: Mapping[str, Collection[str]]) -> tuple[str, ...] | None:
    """A cycle in the start order, as `("A", "B", "A")` for A after B after A, or None.

    Names that are no keys are ignored. Iterative: a chain may be as long as the fleet.
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
    """Whom a crash takes along, and for whom the others wait before they start again."""

    rule: GroupRule
    members: list[Child] = attrs.field(factory=list)
    """In the order they were added."""
    draining: dict[str, None] = attrs.field(factory=dict)
    """Members that end because another crashed: nobody in the group starts before they have."""

    def falling_with(self, child: Child) -> list[Child]:
        """Whom the crash of a member takes along; nobody while it only fell with another."""
        if self.rule is GroupRule.ONE_FOR_ONE or child.name in self.draining:
            return []
        if self.rule is GroupRule.REST_FOR_ONE:
            return self.members[self.members.index(child) + 1 :]
        return [member for member in self.members if member is not child]

    def drained(self, child: Child) -> None:
        """A member has ended, or is stuck and must not hold up the others."""
        if child.name in self.draining:
            del self.draining[child.name]
            if not self.draining:
                for member in self.members:
                    member.wake()
