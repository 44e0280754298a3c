"""Views of a trace: one scene, drawn for a terminal, a browser, an issue tracker, a wave viewer."""
