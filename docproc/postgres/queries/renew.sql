-- Rows are locked in the order of their ids, here and wherever a statement changes several jobs: or two would deadlock.
WITH held AS MATERIALIZED (
  SELECT j.job_id
    FROM docproc.upload_jobs j
    JOIN unnest(%(job_ids)s::uuid[], %(fences)s::bigint[]) AS wanted (job_id, fence)
      ON j.job_id = wanted.job_id AND j.fence = wanted.fence
   WHERE j.claimed_by = %(owner)s
   ORDER BY j.job_id
     FOR NO KEY UPDATE OF j
)
UPDATE docproc.upload_jobs j
   SET lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
  FROM held
 WHERE j.job_id = held.job_id
RETURNING j.job_id
