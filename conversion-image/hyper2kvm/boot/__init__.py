"""The boot check: a guest is started on a throw-away overlay and shows whether it comes up."""
