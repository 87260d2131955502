-- The documents that became complete in the last hour, in twelve parts of five minutes (0 is the latest), and how many
-- seconds ago the first of the latest fifteen minutes did.
SELECT floor(extract(epoch FROM now() - state_since) / 300)::integer AS part, count(*) AS documents,
       extract(epoch FROM now() - min(state_since))::float8 AS first
  FROM docproc.upload_jobs
 WHERE status = %(complete)s AND state_since > now() - interval '1 hour'
   AND (%(only)s::text IS NULL OR user_id = %(only)s)
 GROUP BY 1 ORDER BY 1
