#!/usr/bin/env bash
# A server of MongoDB's protocol: FerretDB over PostgreSQL with the DocumentDB extension, its files where MongoDB has its own.
set -euo pipefail
bin=$(echo /usr/lib/postgresql/*/bin)
data=/data/db/postgres
as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
if [ ! -e "$data/initialized" ]; then
  rm -rf "$data"
  install -d -o postgres -g postgres -m 700 "$data"
  as_postgres "$bin/initdb" -D "$data" -A trust -U postgres
  cat >> "$data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '/tmp'
shared_preload_libraries = 'pg_cron,pg_documentdb_core,pg_documentdb'
cron.database_name = 'postgres'
CONF
  touch "$data/initialized"
fi
# Names a process of another container, which had the same number.
rm -f "$data/postmaster.pid"
as_postgres "$bin/postgres" -D "$data" &
until as_postgres "$bin/psql" -h 127.0.0.1 -U postgres -c 'CREATE EXTENSION IF NOT EXISTS documentdb CASCADE'; do sleep 0.5; done
trap 'kill -TERM "$ferretdb"; wait "$ferretdb"; kill -INT %1; wait' TERM INT
ferretdb --listen-addr=0.0.0.0:27017 --debug-addr=- --no-auth --telemetry=disable --state-dir=/tmp \
  --postgresql-url=postgres://postgres@127.0.0.1/postgres &
ferretdb=$!
wait "$ferretdb"
