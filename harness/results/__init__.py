"""The results of many nights, in a database: SQLite in a file, or PostgreSQL."""
