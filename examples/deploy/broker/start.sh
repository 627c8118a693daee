#!/bin/sh
# Hashes the secrets into mosquitto's password file (in memory), then becomes mosquitto.
set -eu
umask 077
passwords=/run/mosquitto/passwords
for user in gateway-in gateway-out simulators; do
    printf '%s:%s\n' "$user" "$(cat "/run/secrets/mqtt-$user")"
done >"$passwords"
mosquitto_passwd -U "$passwords"
exec mosquitto -c /mosquitto/config/mosquitto.conf
