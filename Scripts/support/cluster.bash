# A PostgreSQL cluster of its own for tests and measurements: sourced, never run. Unix socket only.

# Runs a command as a user that PostgreSQL accepts: it refuses to run as root.
as_postgres() {
  if ((EUID == 0)); then runuser -u postgres -- "$@"; else "$@"; fi
}

# start_cluster FOLDER [SETTING…]: makes a cluster in the folder and starts it. Sets `cluster_url`.
start_cluster() {
  local folder="$1" setting options=()
  shift
  postgres_bin="$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)"
  cluster_folder="$folder"
  mkdir -p "$folder"
  if ((EUID == 0)); then chown postgres: "$folder"; fi
  for setting in "listen_addresses=" "unix_socket_directories=$folder" "$@"; do
    options+=(-c "$setting")
  done
  (
    cd "$folder"
    as_postgres "$postgres_bin/initdb" --pgdata "$folder/data" --username postgres --auth trust \
      --encoding UTF8 --locale C.UTF-8 --no-sync
    as_postgres "$postgres_bin/pg_ctl" --pgdata "$folder/data" --log "$folder/log" --wait \
      --options "${options[*]}" start
  ) >"$folder.log" 2>&1 || { cat "$folder.log" >&2 && return 1; }
  export cluster_url="postgresql://postgres@/postgres?host=$folder"
}

# Stops what start_cluster started, if it did, and removes it.
stop_cluster() {
  [[ -n "${cluster_folder:-}" ]] || return 0
  if [[ -e "$cluster_folder/data/postmaster.pid" ]]; then
    (cd / && as_postgres "$postgres_bin/pg_ctl" --pgdata "$cluster_folder/data" --mode immediate \
      --silent stop) || true
  fi
  rm -rf "$cluster_folder" "$cluster_folder.log"
  cluster_folder=""
}
