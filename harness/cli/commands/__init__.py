"""The commands, one module each. A command reads options, calls the library, shows the result."""
