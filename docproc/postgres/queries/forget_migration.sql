DELETE FROM docproc.schema_migrations WHERE version = %(version)s
