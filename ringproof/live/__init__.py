"""Verdicts for running drivers: the suite is the device, over a vhost-user socket."""
