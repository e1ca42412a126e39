"""Strategies: the base users write against, and the built-in ones."""

from levitrio.strategies.base import Signal, Strategy

__all__ = ["Signal", "Strategy"]
