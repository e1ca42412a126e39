"""Children that fall together."""

import attrs

from levitrio.supervision.child import Child
from levitrio.supervision.order import GroupRule


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
