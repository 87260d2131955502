-- Gives back what this process claimed without knowing: the answer to the claim was lost with the connection.
WITH unknown AS MATERIALIZED (
  SELECT job_id FROM docproc.upload_jobs
   WHERE claimed_by = %(owner)s AND job_id <> ALL (%(held)s::uuid[])
   ORDER BY job_id
     FOR NO KEY UPDATE
)
UPDATE docproc.upload_jobs j
   SET claimed_by = NULL, lease_until = NULL, attempt = greatest(j.attempt - 1, 0)
  FROM unknown
 WHERE j.job_id = unknown.job_id
