"""The REST API of OpenWhisk. HTTP stops here.

One module a collection (`actions`, `activations`, `invocations`, `namespaces`, `packages`, `rules`, `triggers`), one a
front end (`web`, `gateway` and its management `apimgmt`, `alarms`), what needs no key (`info`, `docs`, `metrics`).
`app` puts them together. All use what reads a request (`auth`, `context`, `headers`, `queries`, `bodies`) and what
answers it (`replies`, `listings`, `errors`). `openapi/` describes all of it.
"""
