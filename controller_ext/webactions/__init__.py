"""Web actions: from an HTTP request to an action's arguments, and from its result to an HTTP response.

Pure: bytes and values in, bytes and values out. The route around it is `controller_ext/api/web.py`.

Source: Apache OpenWhisk, `WebActions.scala`, `docs/webactions.md`.
"""
