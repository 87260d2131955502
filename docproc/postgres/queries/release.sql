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
   SET claimed_by = NULL, lease_until = NULL, attempt = greatest(j.attempt - 1, 0)
  FROM held
 WHERE j.job_id = held.job_id
