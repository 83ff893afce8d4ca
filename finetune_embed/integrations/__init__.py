"""Strategies in other trainers: thin callbacks without schedule logic of their own."""
