SELECT version, checksum FROM docproc.schema_migrations ORDER BY version
