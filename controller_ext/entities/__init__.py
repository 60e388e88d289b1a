"""Actions and packages as documents: what a body may say, what is stored and shown, who may see it.

No HTTP and no processes here.
"""
