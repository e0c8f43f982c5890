#!/bin/sh
# Creates, seeds and starts PostgreSQL. It listens on TCP only when the seed is complete, so that
# "accepts connections" means "ready".
#   POSTGRES_PASSWORD  of the role openmetadata (required)
#   PGDATA             where the cluster is made
#   PGPORT             5432
#   SEED               seed.sql
#   SOCKETS            the folder of the socket
#   PG_BIN             where Debian keeps the server's programs
set -eu
: "${POSTGRES_PASSWORD:?set POSTGRES_PASSWORD, the password of the role openmetadata}"
: "${PGDATA:=/var/lib/postgresql/data/cluster}"
: "${PGPORT:=5432}"
: "${SEED:=/usr/local/share/postgres/seed.sql}"
: "${PG_BIN:=/usr/lib/postgresql/15/bin}"
: "${SOCKETS:=/tmp}"
export PGDATA PGPORT PGHOST="$SOCKETS" PGUSER=postgres

if [ ! -f "$PGDATA/seeded" ]; then
    rm -rf "$PGDATA"
    # The superuser gets in by the socket alone; everybody else needs a password.
    "$PG_BIN/initdb" --username=postgres --auth-local=peer --auth-host=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 --no-sync >/dev/null
    cat >"$PGDATA/pg_ident.conf" <<-EOF
		any $(id -un) postgres
	EOF
    cat >"$PGDATA/pg_hba.conf" <<-EOF
		local all postgres peer map=any
		host all postgres all reject
		host all all all scram-sha-256
	EOF
    # Signed by itself, so that it is its own CA. Only who asks for TLS has it.
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 30 -subj /CN=postgres \
        -addext subjectAltName=DNS:postgres,DNS:localhost,IP:127.0.0.1 \
        -keyout "$PGDATA/server.key" -out "$PGDATA/server.crt" 2>/dev/null
    # Nothing here outlives the pod, so nothing needs to reach the disk.
    cat >>"$PGDATA/postgresql.conf" <<-EOF
		ssl = on
		fsync = off
		synchronous_commit = off
		full_page_writes = off
		wal_level = minimal
		max_wal_senders = 0
		shared_buffers = 32MB
		max_connections = 60
		log_timezone = UTC
		timezone = UTC
		shared_preload_libraries = 'pg_stat_statements'
		unix_socket_directories = '$SOCKETS'
	EOF
    "$PG_BIN/pg_ctl" --silent --wait --options="-c listen_addresses=''" start
    "$PG_BIN/psql" --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --dbname=postgres <<-'EOF'
		\getenv password POSTGRES_PASSWORD
		create role openmetadata login password :'password';
		create database shop owner openmetadata;
		grant pg_read_all_stats to openmetadata;
	EOF
    # For usage and lineage pipelines. In pg_catalog it is on every search path and no part of the shop.
    PGOPTIONS='-c allow_system_table_mods=on' "$PG_BIN/psql" --quiet --no-psqlrc --dbname=shop \
        --command='create extension pg_stat_statements schema pg_catalog'
    {
        echo 'set session authorization openmetadata;'
        cat "$SEED"
    } | "$PG_BIN/psql" --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --dbname=shop --single-transaction --output=/dev/null
    "$PG_BIN/pg_ctl" --silent --wait --mode=fast stop
    touch "$PGDATA/seeded"
fi
unset POSTGRES_PASSWORD
exec "$PG_BIN/postgres" -c listen_addresses='*'
