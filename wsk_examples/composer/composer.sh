# Sourced by every run.sh here, after common.sh: compiles and deploys a composition by Composer's own commands.
if ! command -v compose >/dev/null || ! type -P deploy >/dev/null; then
  echo "Composer's commands are missing; install them by: npm install -g openwhisk-composer" >&2 && exit 1
fi

composition() { # NAME: what NAME.js exports, as an action of the example's package
  local folder=$(mktemp -d) code=0
  made+=("$1")
  command compose "$1.js" -o "$folder/$1.json" &&
    __OW_API_HOST=$APIHOST __OW_API_KEY=$AUTH command deploy "$PACKAGE/$1" "$folder/$1.json" --overwrite >&2 || code=$?
  rm -r "$folder" && return $code
}
