"""Stock's design documents and one of ours: with the same names, views and rows either side reads the other's."""

from __future__ import annotations

from typing import Any, Final

IDENTITIES: Final = "subjects.v2.0.0/identities"
ENTITIES: Final = "whisks.v2.1.0"
OTHERS: Final = "dataflow.v1.0.0/others"
"""The one view of ours: what stock knows no type of, as APIs and alarms."""
ACTIVATIONS: Final = "whisks.v2.1.0/activations"
ACTIVATIONS_BY_NAME: Final = "whisks-filters.v2.1.1/activations"
ACTIVATIONS_BY_DATE: Final = "activations/byDate"
TOP: Final = "\ufff0"
"""Behind any string of a key, as stock's."""

_SUMMARY: Final = """{
  namespace: doc.namespace, name: doc.name, version: doc.version, publish: doc.publish, annotations: doc.annotations,
  updated: doc.updated%s
}"""
_BY_PATH: Final = """
  var root = doc.namespace.split('/')[0];
  emit([doc.namespace, doc.updated], value);
  if (root !== doc.namespace) emit([root, doc.updated], value);
"""
_BINDING: Final = "Object.keys(doc.binding).length > 0 ? doc.binding : false"


def _map(condition: str, value: str, emitting: str) -> str:
    return f"function (doc) {{\n  if (!({condition})) return;\n  var value = {value};\n  {emitting.strip()}\n}}"


def _counted(condition: str, value: str, emitting: str) -> dict[str, str]:
    return {"map": _map(condition, value, emitting), "reduce": "_count"}


_ACTIVATION: Final = """{
  namespace: doc.namespace, name: doc.name, version: doc.version, publish: doc.publish, annotations: doc.annotations,
  activationId: doc.activationId, start: doc.start, cause: doc.cause,
  end: doc.end !== 0 ? doc.end : undefined,
  duration: doc.end !== 0 && doc.end !== undefined ? doc.end - doc.start : undefined,
  statusCode: doc.end !== 0 && doc.end !== undefined && doc.response ? doc.response.statusCode : undefined
}"""
_NAMED: Final = """
  var path, binding;
  (doc.annotations || []).forEach(function (one) {
    if (one.key === 'path') path = one.value;
    if (one.key === 'binding') binding = one.value;
  });
  var of = typeof binding === 'string' && binding ? binding.split('/')[1] : undefined;
  if (of === undefined && typeof path === 'string' && path.split('/').length === 3) of = path.split('/')[1];
  emit([doc.namespace + '/' + (of === undefined ? '' : of + '/') + doc.name, doc.start], value);
"""
_FILTER: Final = {
    "_id": "_design/snapshotFilters",
    "filters": {
        "withoutDeletedAndDesignDocuments": """function (doc) {
  return !doc._deleted && doc._id.indexOf('_design/') !== 0;
}"""
    },
}

SUBJECTS_DESIGNS: Final[tuple[dict[str, Any], ...]] = (
    {
        "_id": "_design/subjects.v2.0.0",
        "views": {
            "identities": {
                "map": """function (doc) {
  if (!doc.namespaces || doc.blocked) return;
  doc.namespaces.forEach(function (one) {
    var value = {_id: one.name + '/limits', namespace: one.name, uuid: one.uuid, key: one.key};
    emit([one.name], value);
    emit([one.uuid, one.key], value);
  });
}"""
            }
        },
    },
    {
        "_id": "_design/namespaceThrottlings",
        "views": {
            "blockedNamespaces": {
                "map": """function (doc) {
  if (/\\/limits$/.test(doc._id)) {
    if (doc.concurrentInvocations === 0 || doc.invocationsPerMinute === 0) emit(doc._id.slice(0, -'/limits'.length), 1);
  } else if (doc.subject && doc.namespaces && doc.blocked) {
    doc.namespaces.forEach(function (one) { emit(one.name, 1); });
  }
}""",
                "reduce": "_sum",
            }
        },
    },
    _FILTER,
)
WHISKS_DESIGNS: Final[tuple[dict[str, Any], ...]] = (
    {
        "_id": f"_design/{ENTITIES}",
        "views": {
            "actions": _counted(
                "doc.exec !== undefined",
                _SUMMARY % ", limits: doc.limits, exec: {binary: doc.exec.binary || false}",
                _BY_PATH,
            ),
            "packages": _counted(
                "doc.binding !== undefined",
                _SUMMARY % f", binding: {_BINDING}",
                "emit([doc.namespace, doc.updated], value);",
            ),
            "packages-public": _counted(
                "doc.publish && doc.binding !== undefined && Object.keys(doc.binding).length === 0",
                _SUMMARY % ", binding: false",
                "emit([doc.namespace, doc.updated], value);",
            ),
            "triggers": _counted(
                "doc.exec === undefined && doc.binding === undefined && doc.parameters !== undefined",
                _SUMMARY % "",
                _BY_PATH,
            ),
            "rules": _counted("doc.trigger !== undefined", "1", _BY_PATH),
        },
    },
    {
        "_id": "_design/dataflow.v1.0.0",
        "views": {
            "others": {
                "map": """function (doc) {
  var stock = ['action', 'package', 'trigger', 'rule', 'activation'];
  if (doc.entityType === undefined || doc.namespace === undefined || stock.indexOf(doc.entityType) >= 0) return;
  var root = doc.namespace.split('/')[0];
  emit([doc.entityType, doc.namespace, doc.updated], 1);
  if (root !== doc.namespace) emit([doc.entityType, root, doc.updated], 1);
}"""
            }
        },
    },
    _FILTER,
)
ACTIVATIONS_DESIGNS: Final[tuple[dict[str, Any], ...]] = (
    {
        "_id": "_design/whisks.v2.1.0",
        "views": {
            "activations": _counted(
                "doc.activationId !== undefined", _ACTIVATION, "emit([doc.namespace, doc.start], value);"
            )
        },
    },
    {
        "_id": "_design/whisks-filters.v2.1.1",
        "views": {"activations": _counted("doc.activationId !== undefined", _ACTIVATION, _NAMED)},
    },
    {
        "_id": "_design/activations",
        "views": {"byDate": {"map": _map("doc.start !== undefined", "[doc._id, doc._rev]", "emit(doc.start, value);")}},
    },
    {
        "_id": "_design/logCleanup",
        "views": {
            "byDateWithLogs": {
                "map": """function (doc) {
  if (doc.activationId === undefined || !doc.logs || doc.logs.length === 0) return;
  var kinds = (doc.annotations || []).filter(function (one) { return one.key === 'kind'; });
  if (!kinds.some(function (one) { return one.value === 'sequence'; })) emit(doc.start, doc._id);
}"""
            }
        },
    },
    _FILTER,
)
