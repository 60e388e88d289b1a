"""Entities as documents: what a body may say, what is stored and shown, who may see it; users, keys and limits.

No HTTP and no processes here.
"""
