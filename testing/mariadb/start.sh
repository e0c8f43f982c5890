#!/bin/sh
# Creates, seeds and starts MariaDB. It answers no client before the seed is complete.
#   MARIADB_PASSWORD  of the user openmetadata (required)
set -eu
: "${MARIADB_PASSWORD:?set MARIADB_PASSWORD, the password of the user openmetadata}"
data=/var/lib/mysql/data
rm -rf "$data"
mariadb-install-db --no-defaults --datadir="$data" --auth-root-authentication-method=normal --skip-test-db \
    --skip-name-resolve >/dev/null
{
    cat /usr/local/share/mariadb/seed.sql
    echo "create user openmetadata identified by '$MARIADB_PASSWORD';"
    echo "grant select, show view on depot.* to openmetadata;"
    echo "drop user root@localhost;"
} >/tmp/seed.sql
unset MARIADB_PASSWORD
# Nothing here outlives the pod, so nothing needs to reach the disk.
exec mariadbd --no-defaults --datadir="$data" --init-file=/tmp/seed.sql --bind-address=0.0.0.0 --skip-name-resolve \
    --socket=/tmp/mariadb.sock --pid-file=/tmp/mariadb.pid --innodb-buffer-pool-size=32M \
    --innodb-flush-log-at-trx-commit=0 --performance-schema=off
