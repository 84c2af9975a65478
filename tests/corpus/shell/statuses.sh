#!/bin/sh
# SPDX-License-Identifier: MIT
# Ends as the event says: a status, a signal, an unset variable, a missing program, or well.
case $(cat "$1") in
*status*) echo "half an answer"; echo "no such city" >&2; exit 3 ;;
*silent*) exit 9 ;;
*signal*) kill -TERM $$ ;;
*last*) true; false ;;
*pipe*) false | true ;;
*) printf 'well, without a newline' ;;
esac
