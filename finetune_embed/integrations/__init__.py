"""Strategies in other people's loops: thin callbacks without any schedule of their own."""
