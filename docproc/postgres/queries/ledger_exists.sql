SELECT to_regclass('docproc.schema_migrations') IS NOT NULL AS present,
       to_regclass('docproc.schema_migrations') IS NOT NULL AND to_regclass('docproc.deployments') IS NOT NULL AS whole
