# Sourced by every run.sh: makes, invokes and removes things by `wsk` if it is there, else by curl. Needs bash, python3.
# APIHOST and AUTH name the server and the key; KEEP=1 leaves what was made.
set -euo pipefail
APIHOST=${APIHOST:-http://127.0.0.1:3233}
AUTH=${AUTH:-23bc46b1-71f6-4ed5-8c54-816aa4f8c502:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP}
PACKAGE=example-$EXAMPLE
made=()

if command -v curl >/dev/null; then # what goes wrong first is said before anything is made
  answer=$(curl --silent --insecure --max-time 20 --output /dev/null --write-out '%{http_code}' --user "$AUTH" "$APIHOST/api/v1/namespaces" || true)
  case $answer in
    200) ;;
    401) echo "the server at $APIHOST does not know this key; name another by AUTH=uuid:key" >&2 && exit 1 ;;
    *) echo "no OpenWhisk server answers at $APIHOST; start one by: dataflower standalone, or name another by APIHOST" >&2 && exit 1 ;;
  esac
fi

if command -v wsk >/dev/null; then
  client() { wsk --apihost "$APIHOST" --auth "$AUTH" "$@"; }
  package() { client package update "$PACKAGE" >/dev/null; }
  deploy() { made+=("$1") && client action update "$PACKAGE/$1" "$2" --kind "${3:-python:3}" >/dev/null; }
  chain() { made+=("$1") && client action update "$PACKAGE/$1" --sequence "$(printf "$PACKAGE/%s," "${@:2}" | head -c -1)" >/dev/null; }
  publish() { client action update "$PACKAGE/$1" --web true >/dev/null; }
  managed() { # the CLI reads the key of an API's owner from a file alone
    local properties=$(mktemp) code=0
    printf 'APIHOST=%s\nAUTH=%s\n' "$APIHOST" "$AUTH" >"$properties"
    WSK_CONFIG_FILE=$properties client api "$@" || code=$?
    rm -f "$properties" && return $code
  }
  route() { url=$(managed create "/$PACKAGE" "$2" "$1" "$PACKAGE/$3" | tail -n 1); }
  remove_api() { managed delete "/$PACKAGE" >/dev/null; }
  invoke() { client action invoke "$PACKAGE/$1" --result --param-file "$2"; }
  remove_action() { client action delete "$PACKAGE/$1" >/dev/null; }
  remove_package() { client package delete "$PACKAGE" >/dev/null; }
else
  api() { # METHOD PATH, the body on stdin
    curl --silent --show-error --fail-with-body --max-time 90 --user "$AUTH" --request "$1" \
      --header 'Content-Type: application/json' --data-binary @- "$APIHOST/api/v1/namespaces/_/$2"
  }
  put() { # NAME, the exec object on stdin
    made+=("$1")
    { printf '{"exec":' && cat && printf '}'; } | api PUT "actions/$PACKAGE/$1?overwrite=true" >/dev/null
  }
  package() { echo '{}' | api PUT "packages/$PACKAGE?overwrite=true" >/dev/null; }
  deploy() { # NAME FILE [KIND]
    put "$1" < <(python3 -c 'import json, sys; print(json.dumps({"kind": sys.argv[1], "code": open(sys.argv[2]).read()}))' \
      "${3:-python:3}" "$2")
  }
  chain() { # NAME COMPONENT…
    put "$1" < <(printf '{"kind":"sequence","components":[' && printf "\"/_/$PACKAGE/%s\"," "${@:2}" | head -c -1 && printf ']}')
  }
  publish() { # NAME: makes it a web action
    echo '{"annotations":[{"key":"web-export","value":true}]}' | api PUT "actions/$PACKAGE/$1?overwrite=true" >/dev/null
  }
  manage() { # METHOD ACTION, the body on stdin: calls an action of route management
    curl --silent --show-error --fail-with-body --max-time 90 --user "$AUTH" --request "$1" \
      --header 'Content-Type: application/json' --data-binary @- "$APIHOST/api/v1/web/whisk.system/apimgmt/$2"
  }
  route() { # METHOD PATH NAME: has an API pass requests on to a web action; sets url
    url=$(printf '{"apidoc":{"namespace":"_","gatewayBasePath":"/%s","gatewayPath":"%s","gatewayMethod":"%s","action":{"name":"%s",
      "namespace":"_","backendMethod":"%s","backendUrl":"%s/api/v1/web/_/%s.json","authkey":"-"}}}' \
      "$PACKAGE" "$2" "$1" "$PACKAGE/$3" "$1" "$APIHOST" "$PACKAGE/$3" | manage POST createApi |
      python3 -c 'import json, sys; print(json.load(sys.stdin)["gwApiUrl"] + sys.argv[1])' "$2")
  }
  remove_api() { manage DELETE "deleteApi?basepath=/$PACKAGE" </dev/null >/dev/null; }
  invoke() { api POST "actions/$PACKAGE/$1?blocking=true&result=true" <"$2"; } # NAME FILE: prints the result
  remove_action() { api DELETE "actions/$PACKAGE/$1" </dev/null >/dev/null; }
  remove_package() { api DELETE "packages/$PACKAGE" </dev/null >/dev/null; }
fi

browse() { # NAME.EXTENSION FILE: prints what a web action answers to the file, asked by nobody in particular
  local namespace=$(curl --silent --fail --max-time 10 --user "$AUTH" "$APIHOST/api/v1/namespaces" | tr -d '[]"')
  curl --silent --show-error --fail-with-body --max-time 90 --header 'Content-Type: application/json' --data-binary @"$2" \
    "$APIHOST/api/v1/web/$namespace/$PACKAGE/$1"
}

compare() { # RESULT: prints it; fails if it is not what expected.json says
  python3 - "$1" expected.json <<'PYTHON'
import json, sys
result, expected = json.loads(sys.argv[1]), json.load(open(sys.argv[2]))
print(json.dumps(result, indent=2, sort_keys=True))
sys.exit(0 if result == expected else "this differs from expected.json")
PYTHON
}

clean() { # also after a failure; the exit code stays
  [ -z "${KEEP:-}" ] || return 0
  for name in "${made[@]}"; do remove_action "$name" || true; done
  [ -z "${url:-}" ] || remove_api || true
  remove_package || true
}
trap clean EXIT
package
