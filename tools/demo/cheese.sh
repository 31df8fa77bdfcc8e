#!/bin/sh
# The reward of `make demo-align`: half a point for an answer that mentions cheese, but not twice, and half for one that
# ends with an exclamation mark. It reads {"prompt": ..., "response": ..., ...} on each line and writes a number for each.
exec awk '{
    match($0, /"response": *"([^"\\]|\\.)*"/)
    answer = substr($0, RSTART, RLENGTH - 1)
    print (gsub(/cheese/, "&", answer) == 1) / 2 + (answer ~ /!$/) / 2
}'
