"""Lexical evidence: a linear classifier over the words of a text and their characters."""

from .background import in_background
from .classifier import LexicalClassifier, Texts

__all__ = ["LexicalClassifier", "Texts", "in_background"]
