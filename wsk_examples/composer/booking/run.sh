#!/usr/bin/env bash
# Books a flight and a hotel: variables, a retry, and a handler that gives the flight back if there is no hotel.
cd "$(dirname "$0")" && EXAMPLE=booking && . ../../common.sh && . ../composer.sh

for name in flight hotel release; do deploy "$name" "$name.py"; done
composition booking
compare "$(invoke booking input.json)"
