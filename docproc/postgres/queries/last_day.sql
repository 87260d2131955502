SELECT count(*) FILTER (WHERE created_at > now() - interval '24 hours') AS jobs,
       count(*) FILTER (WHERE status = %(complete)s AND state_since > now() - interval '24 hours') AS complete,
       count(*) FILTER (WHERE status = ANY (%(failed)s) AND state_since > now() - interval '24 hours') AS failed,
       (avg(extract(epoch FROM state_since - created_at) / 60)
         FILTER (WHERE status = %(complete)s AND state_since > now() - interval '24 hours'))::float8 AS average_minutes
  FROM docproc.upload_jobs
 WHERE updated_at > now() - interval '24 hours' OR created_at > now() - interval '24 hours'
