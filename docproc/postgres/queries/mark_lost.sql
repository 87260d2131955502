WITH found AS MATERIALIZED (
  SELECT job_id FROM docproc.upload_jobs
   WHERE job_id = ANY (%(job_ids)s::uuid[]) AND raw_lost_at IS NULL
   ORDER BY job_id
     FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE docproc.upload_jobs j SET raw_lost_at = clock_timestamp() FROM found WHERE j.job_id = found.job_id
