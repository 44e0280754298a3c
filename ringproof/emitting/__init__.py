"""Taking a trace home: a document written as a test that runs without this tool, or beside it."""
