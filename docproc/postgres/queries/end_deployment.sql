UPDATE docproc.deployments
   SET outcome = %(outcome)s, schema_to = %(schema)s, stopped_at = %(stopped_at)s, finished_at = clock_timestamp()
 WHERE deployment_id = %(deployment_id)s
