"""Lexical evidence: a linear classifier over the words of a text and their characters."""

from .classifier import LexicalClassifier, Texts

__all__ = ["LexicalClassifier", "Texts"]
