"""Lexical evidence: a linear classifier over the words and pairs of words of a text."""

from .classifier import LexicalClassifier

__all__ = ["LexicalClassifier"]
