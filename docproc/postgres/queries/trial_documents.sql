-- A user's documents, locked against whoever works on them: what is written afterwards finds no job.
SELECT j.document_id FROM docproc.upload_jobs j
 WHERE j.document_id IN (SELECT document_id FROM docproc.sources WHERE user_id = %(user)s) AND j.user_id = %(user)s
 ORDER BY j.job_id
   FOR UPDATE
