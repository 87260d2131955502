-- Of the last hour, and where that was busy of its latest 50,000 steps: a percentile needs no more.
WITH recent AS (
  SELECT from_status, to_status, seconds FROM docproc.job_events e
   WHERE at > now() - interval '1 hour'
     AND (%(only)s::text IS NULL
       OR EXISTS (SELECT FROM docproc.upload_jobs j WHERE j.job_id = e.job_id AND j.user_id = %(only)s))
   ORDER BY at DESC LIMIT 50000
)
SELECT from_status AS status, percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY seconds) AS p
  FROM recent WHERE from_status <> to_status GROUP BY from_status
