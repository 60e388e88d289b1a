"""Invocations: names to calls, requests to messages, ends to responses."""
