"""The commands, a module each. A command reads options, calls the library, and shows what came."""
