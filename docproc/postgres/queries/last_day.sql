-- ``average_minutes`` is that of the latest 10,000 complete ones: for it every job has to be read.
SELECT (SELECT count(*) FROM docproc.job_events
         WHERE from_status IS NULL AND at > now() - interval '24 hours') AS jobs,
       (SELECT count(*) FROM docproc.upload_jobs
         WHERE status = %(complete)s AND state_since > now() - interval '24 hours') AS complete,
       (SELECT count(*) FROM docproc.upload_jobs
         WHERE status = ANY (%(failed)s) AND state_since > now() - interval '24 hours') AS failed,
       (SELECT avg(extract(epoch FROM state_since - created_at) / 60)::float8
          FROM (SELECT state_since, created_at FROM docproc.upload_jobs
                 WHERE status = %(complete)s AND state_since > now() - interval '24 hours'
                 ORDER BY state_since DESC LIMIT 10000) latest) AS average_minutes
