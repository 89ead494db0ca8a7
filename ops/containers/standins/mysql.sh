#!/usr/bin/env bash
# As the official image: the first start makes the users and runs /docker-entrypoint-initdb.d, on its socket only; and nobody
# who connects waits for their address to be looked up.
set -euo pipefail
data=/var/lib/mysql
server=(mysqld --no-defaults --skip-name-resolve --host-cache-size=0 --user=root "--datadir=$data" --socket=/tmp/mysql.sock --secure-file-priv= --mysqlx=OFF)
if [ ! -e "$data/initialized" ]; then
  find "$data" -mindepth 1 -delete
  {
    echo "ALTER USER 'root'@'localhost' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';"
    echo "CREATE USER '$MYSQL_USER'@'%' IDENTIFIED BY '$MYSQL_PASSWORD';"
    grep -hv '^--' /docker-entrypoint-initdb.d/*.sql # an init file has no comments
    echo 'SHUTDOWN;'
  } > /tmp/init.sql
  "${server[@]}" --initialize-insecure
  "${server[@]}" --skip-networking --init-file=/tmp/init.sql
  touch "$data/initialized"
fi
exec "${server[@]}" "$@"
