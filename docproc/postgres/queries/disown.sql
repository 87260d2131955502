-- Gives back what this process claimed without knowing: the answer to the claim was lost with the connection.
UPDATE docproc.upload_jobs
   SET claimed_by = NULL, lease_until = NULL, attempt = greatest(attempt - 1, 0)
 WHERE claimed_by = %(owner)s AND job_id <> ALL (%(held)s::uuid[])
