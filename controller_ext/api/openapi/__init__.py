"""The description of the API in Swagger 2.0, and the page that shows it. Pure: data in, data out.

`schemas.py` says what bodies look like, `operations.py` which routes there are, `document.py` puts both together.
Source: stock's `apiv1swagger.json`. Bodies are closed (`additionalProperties: false`) where stock's own validator is.
"""
