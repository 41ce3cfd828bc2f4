#!/bin/bash
# Makes the secrets of docker-compose.yml in the folder $1, each once; a second run changes nothing.
# Runs in the gateway's image. $2 is who owns what only the gateway may read.
set -eu
umask 077
folder=$1
owner=${2:-}

random() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

for name in token.key turn.key metrics.key grafana.password postgres.password; do
    [ -s "$folder/$name" ] || random >"$folder/$name"
done
# libpq's file of passwords, so that none is in an environment: host:port:database:user:password.
printf '*:*:crosspoint:crosspoint:%s\n' "$(cat "$folder/postgres.password")" >"$folder/pgpass"
chmod 0711 "$folder"
chmod 0600 "$folder/token.key" "$folder/pgpass"
# Each other program has a user of its own; the volume is mounted into these containers only.
chmod 0444 "$folder"/turn.key "$folder"/metrics.key "$folder"/grafana.password "$folder"/postgres.password
if [ -n "$owner" ]; then
    chown "$owner" "$folder/token.key" "$folder/pgpass"
fi
