"""The device of live runs, in C: a vhost-user back-end with the monitor inside. Built when it is needed."""
