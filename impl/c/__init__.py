"""The C implementation, as source files to be found by the tool and lifted by anyone."""
