"""APIs in front of web actions: documents in Swagger's form, what `wsk api` does with them, and which route a path is.

`creation`, `swagger`, `checks`, `backends` and `routes` are pure; `apis` keeps documents in the store of entities.
HTTP is elsewhere: `controller_ext/api/apimgmt.py` manages, `controller_ext/api/gateway.py` serves.
"""
