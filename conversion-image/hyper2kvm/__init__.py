"""The conversion pipeline: FETCH, FLATTEN, INSPECT, FIX, CONVERT, VALIDATE, and the `h2k` command."""
