-- ``average_minutes`` is that of the latest 10,000 complete ones: for it every job has to be read.
SELECT (SELECT count(*) FROM docproc.job_events e
         WHERE from_status IS NULL AND at > now() - interval '24 hours'
           AND (%(only)s::text IS NULL
             OR EXISTS (SELECT FROM docproc.upload_jobs j WHERE j.job_id = e.job_id AND j.user_id = %(only)s))) AS jobs,
       (SELECT count(*) FROM docproc.upload_jobs
         WHERE status = %(complete)s AND state_since > now() - interval '24 hours'
           AND (%(only)s::text IS NULL OR user_id = %(only)s)) AS complete,
       (SELECT count(*) FROM docproc.upload_jobs
         WHERE status = ANY (%(failed)s) AND state_since > now() - interval '24 hours'
           AND (%(only)s::text IS NULL OR user_id = %(only)s)) AS failed,
       (SELECT avg(extract(epoch FROM state_since - created_at) / 60)::float8
          FROM (SELECT state_since, created_at FROM docproc.upload_jobs
                 WHERE status = %(complete)s AND state_since > now() - interval '24 hours'
           AND (%(only)s::text IS NULL OR user_id = %(only)s)
                 ORDER BY state_since DESC LIMIT 10000) latest) AS average_minutes
