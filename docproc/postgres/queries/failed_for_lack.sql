SELECT job_id FROM docproc.upload_jobs
 WHERE status = ANY (%(states)s) AND last_error ->> 'code' = ANY (%(lost_codes)s)
   AND (%(user)s::text IS NULL OR user_id = %(user)s)
