SELECT to_regclass('docproc.schema_migrations') IS NOT NULL AS present
