INSERT INTO docproc.deployments (version, schema_from, schema_to, profile, configuration, started_at)
VALUES (%(version)s, %(schema)s, %(schema)s, %(profile)s, %(configuration)s,
        clock_timestamp() - make_interval(secs => %(seconds)s))
RETURNING deployment_id
