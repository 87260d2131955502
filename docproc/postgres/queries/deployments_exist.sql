SELECT to_regclass('docproc.deployments') IS NOT NULL AS present
