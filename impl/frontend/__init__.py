"""A small vhost-user front-end, in C: drives any driver behind ringproof_driver.h against a back-end."""
