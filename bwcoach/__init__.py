"""Reads a draft against a rubric and marks the weaknesses that the rubric is about."""

__version__ = "0.1.0"
