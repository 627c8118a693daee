#!/bin/sh
# Makes the passwords and tokens that docker-compose.yml reads, once; a secret that is there stays as it is.
# To change one: remove its file, run this again, recreate the containers that name it.
set -eu
cd "$(dirname "$0")"
umask 027
mkdir -p secrets
chmod 0750 secrets
for name in mqtt-gateway-in mqtt-gateway-out mqtt-simulators influxdb-admin influxdb-token grafana-admin; do
    [ -s "secrets/$name" ] && continue
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"secrets/$name"
    chmod 0640 "secrets/$name"
    echo "made examples/deploy/secrets/$name"
done
# docker compose reads .env beside docker-compose.yml: the group through which containers read the secrets
environment=../../.env
grep -qs '^CITYLIGHT_GID=' "$environment" || echo "CITYLIGHT_GID=$(id -g)" >>"$environment"
