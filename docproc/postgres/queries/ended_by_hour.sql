-- The documents that became complete and that failed in each of the last 24 hours; hour 0 is the latest.
SELECT floor(extract(epoch FROM now() - state_since) / 3600)::integer AS hour,
       count(*) FILTER (WHERE status = %(complete)s) AS complete,
       count(*) FILTER (WHERE status <> %(complete)s) AS failed
  FROM docproc.upload_jobs
 WHERE status = ANY (%(ended)s) AND state_since > now() - interval '24 hours'
 GROUP BY 1
